//! The memory of a large image that nobody holds any more, kept for a moment for the next one: the system takes several
//! times as long to hand out so much anew as it takes to fill it.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

/// Below this, allocators reuse memory by themselves.
const LARGE: usize = 4 * 1024 * 1024;
/// How long it is kept.
const KEPT: Duration = Duration::from_secs(2);

/// Room for one large image. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Spare(Arc<Shelf>);

#[derive(Debug)]
struct Shelf {
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    data: Option<(Vec<u8>, Instant)>,
    /// Something is on its way to clear the shelf.
    tended: bool,
}

impl Spare {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self(Arc::new(Shelf { runtime, state: Mutex::default() }))
    }

    /// An empty vector with room for `size` bytes.
    pub(crate) fn take(&self, size: usize) -> Vec<u8> {
        if size >= LARGE {
            let mut state = self.0.lock();
            // Not one that is far too large: it would be held as long as the image is.
            if state.data.as_ref().is_some_and(|(data, _)| (size..=2 * size).contains(&data.capacity())) {
                return state.data.take().map(|(data, _)| data).unwrap_or_default();
            }
        }
        Vec::with_capacity(size)
    }

    #[cfg(test)]
    pub(crate) fn is_stocked(&self) -> bool {
        self.0.lock().data.is_some()
    }

    /// The bytes of an image, whose memory comes back once nobody holds them.
    pub(crate) fn lend(&self, data: Vec<u8>) -> Bytes {
        if data.len() < LARGE {
            return data.into();
        }
        Bytes::from_owner(Lent { data, shelf: Arc::downgrade(&self.0) })
    }
}

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(self: &Arc<Self>, mut data: Vec<u8>) {
        data.clear();
        let mut state = self.lock();
        state.data = Some((data, Instant::now()));
        if !state.tended {
            state.tended = true;
            self.runtime.spawn(clear(Arc::downgrade(self)));
        }
    }
}

/// Gives the memory back when it was not wanted for some time.
async fn clear(shelf: Weak<Shelf>) {
    let mut due = Instant::now() + KEPT;
    loop {
        sleep_until(due).await;
        let Some(shelf) = shelf.upgrade() else { return };
        let mut state = shelf.lock();
        match &state.data {
            Some((_, since)) if *since + KEPT > Instant::now() => due = *since + KEPT,
            _ => {
                *state = State::default();
                return;
            }
        }
    }
}

struct Lent {
    data: Vec<u8>,
    shelf: Weak<Shelf>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(shelf) = self.shelf.upgrade() {
            shelf.put(std::mem::take(&mut self.data));
        }
    }
}
