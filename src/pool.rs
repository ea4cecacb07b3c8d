//! Work for the threads of rayon's pool that is wanted in order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use rayon::Yield;

use crate::Result;

/// Waits for what another task sends; nothing once nobody can send. On a thread of the pool it works meanwhile, or the pool
/// might have nobody to do so.
pub fn received<T>(receiver: &Receiver<T>) -> Option<T> {
    loop {
        match receiver.try_recv() {
            Ok(sent) => return Some(sent),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => match rayon::yield_now() {
                None => return receiver.recv().ok(),
                Some(Yield::Executed) => {}
                Some(Yield::Idle) => std::thread::yield_now(),
            },
        }
    }
}

/// Calls `make` with 0, 1, … below `count` on all threads, and `take` with what comes of them, in their order, `at_once` of
/// them at a time. While some are taken as many more are made, and no more than these two times `at_once` are there.
///
/// # Errors
/// The first of `make` and `take`; what is being made is waited for.
pub(crate) fn in_order<T: Send>(
    count: usize,
    at_once: usize,
    make: impl Fn(usize) -> Result<T> + Sync,
    mut take: impl FnMut(Vec<T>) -> Result<()>,
) -> Result<()> {
    let (make, next) = (&make, &AtomicUsize::new(0));
    let (made, taken) = channel();
    rayon::in_place_scope(|scope| {
        let mut asked = 0;
        let mut ask = |more: usize| {
            for _ in 0..more.min(count - asked) {
                asked += 1;
                let made = made.clone();
                // Whoever comes to it makes the next one, so that those that are wanted first are made first.
                scope.spawn(move |_| {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody listens any more once another was at fault.
                    let _ = made.send((at, catch_unwind(AssertUnwindSafe(|| make(at)))));
                });
            }
        };
        ask(2 * at_once);
        let mut early = BTreeMap::new();
        for first in (0..count).step_by(at_once) {
            let some = first..count.min(first + at_once);
            while early.range(some.clone()).count() < some.len() {
                let (at, one) = received(&taken).expect("`ask` can send for as long as this waits");
                early.insert(at, one.unwrap_or_else(|panic| resume_unwind(panic))?);
            }
            let later = early.split_off(&some.end);
            take(std::mem::replace(&mut early, later).into_values().collect())?;
            ask(at_once);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;
    use std::time::Duration;

    use super::*;
    use crate::Error;

    fn fault(at: usize) -> Error {
        Error::Limit { what: "numbers".to_owned(), found: at as u64, most: 0 }
    }

    #[test]
    fn what_is_made_in_any_order_is_taken_in_order_and_little_is_there_at_a_time() {
        for (count, at_once) in [(0, 3), (1, 3), (7, 3), (100, 1), (100, 16), (64, 16)] {
            let (there, most) = (AtomicI64::new(0), AtomicI64::new(0));
            let mut all = Vec::new();
            let make = |at: usize| {
                most.fetch_max(there.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_micros((at as u64 * 7919) % 300));
                Ok(at)
            };
            in_order(count, at_once, make, |some| {
                assert!(some.len() == at_once || all.len() + some.len() == count);
                there.fetch_sub(some.len() as i64, Ordering::SeqCst);
                all.extend(some);
                Ok(())
            })
            .unwrap();
            assert!(all.iter().copied().eq(0..count));
            assert!(most.into_inner() <= 2 * at_once as i64);
        }
    }

    #[test]
    fn a_fault_of_either_side_ends_it() {
        for bad in [0, 5, 29] {
            let mut all = Vec::new();
            let make = |at| if at == bad { Err(fault(at)) } else { Ok(at) };
            let outcome = in_order(30, 2, make, |some| {
                all.extend(some);
                Ok(())
            });
            assert!(matches!(outcome, Err(Error::Limit { found, .. }) if found == bad as u64));
            assert!(all.iter().copied().eq(0..bad / 2 * 2));
            let outcome = in_order(30, 2, Ok, |some| if some.contains(&bad) { Err(fault(bad)) } else { Ok(()) });
            assert!(matches!(outcome, Err(Error::Limit { found, .. }) if found == bad as u64));
        }
    }

    #[test]
    #[should_panic(expected = "number 5")]
    fn a_panic_goes_on_where_it_is_waited_for() {
        let make = |at| if at == 5 { panic!("number {at}") } else { Ok(at) };
        let _ = in_order(30, 2, make, |_| Ok(()));
    }
}
