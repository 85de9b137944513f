//! The allocator of the binary: stages allocate many small things on some threads and free them on others, which is what mimalloc
//! is made for; `make bench` shows what it is worth.

/// Memory that was freed is kept for this long before the system gets it back. 30 s: a stage frees with every step what the next one
/// needs again; after mimalloc's one second, giving pages back and clearing them anew was a tenth of a cold load (`perf record`
/// shows `madvise` and `clear_page`). An idle process still becomes small within half a minute.
const KEPT_MS: std::ffi::c_long = 30_000;

/// `mi_option_purge_delay` of mimalloc 3's `mimalloc.h`; the crate names only the options before it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sets what is known about this process. What `MIMALLOC_PURGE_DELAY` says goes first.
pub fn configure() {
    // SAFETY: sets one number in a table of the allocator; the option is one of its list, and no other thread runs yet.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, KEPT_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: reads a number.
        #[allow(unsafe_code)]
        let kept = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(kept(), 1000, "mimalloc 3's own value; another one means another option");
        configure();
        assert_eq!(kept(), KEPT_MS);
    }
}
