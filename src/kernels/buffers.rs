//! Memory that is kept: fresh pages for every result would cost more than what is computed.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Numbers of whatever value, to be written before they are read. Their memory goes to the next buffer when this one is
/// dropped; no more is kept than was once in use at a time, and a quarter.
#[derive(Debug, Default)]
pub struct Buffer {
    numbers: Vec<f32>,
}

#[derive(Default)]
struct Idle {
    buffers: Vec<Vec<f32>>,
    /// Numbers that idle buffers have room for, that those in use have, and that these once had at most.
    idle: usize,
    used: usize,
    most: usize,
}

static IDLE: Mutex<Idle> = Mutex::new(Idle { buffers: Vec::new(), idle: 0, used: 0, most: 0 });

fn idle() -> MutexGuard<'static, Idle> {
    // Whoever panicked left vectors that are whole.
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Buffer {
    /// So many numbers.
    pub fn of(count: usize) -> Self {
        if count == 0 {
            return Self::default();
        }
        let mut idle = idle();
        let fits = |buffer: &Vec<f32>| buffer.capacity() >= count && buffer.capacity() / 2 <= count;
        let best = (0..idle.buffers.len()).filter(|&at| fits(&idle.buffers[at])).min_by_key(|&at| idle.buffers[at].capacity());
        let mut numbers = match best {
            Some(at) => {
                let buffer = idle.buffers.swap_remove(at);
                idle.idle -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(count),
        };
        idle.used += numbers.capacity();
        idle.most = idle.most.max(idle.used);
        drop(idle);
        numbers.resize(count, 0.0);
        Self { numbers }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::of(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let numbers = std::mem::take(&mut self.numbers);
        if numbers.capacity() == 0 {
            return;
        }
        let mut idle = idle();
        idle.used -= numbers.capacity();
        idle.idle += numbers.capacity();
        idle.buffers.push(numbers);
        while idle.idle + idle.used > idle.most + idle.most / 4 {
            let oldest = idle.buffers.remove(0);
            idle.idle -= oldest.capacity();
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.numbers
    }
}
