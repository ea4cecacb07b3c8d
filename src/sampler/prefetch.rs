/// Asks for what stands at a place before it is needed. What is behind the end is not there, and asking does nothing.
#[inline(always)]
pub(super) fn prefetch<T>(things: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a processor without the instruction there is not, and it reads nothing that the program would see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(things.as_ptr().wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (things, at);
}
