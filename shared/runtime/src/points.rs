//! The macros that mark crash points and planted bugs in the code. Without the feature `faults` they are nothing: a
//! crash point is no code at all, and a planted bug is the constant `false`, whose branch the compiler drops.

/// A place where the process can be made to die as by `kill -9`: no destructor runs, nothing is flushed.
///
/// - `crash!("crash::name")` dies here, and `crash!("crash::name", if condition)` only if the condition holds.
/// - `crash!("crash::name", once_written).await` dies here, but only once what was queued for sockets before is written.
/// - `crash!("crash::name", during future)` is the future, and dies once what it has begun to send is written.
#[cfg(feature = "faults")]
#[macro_export]
macro_rules! crash {
    ($name:literal) => {
        $crate::faults::crash($name)
    };
    ($name:literal, if $condition:expr) => {
        if $condition {
            $crate::faults::crash($name)
        }
    };
    ($name:literal, once_written) => {
        $crate::faults::crash_once_written($name)
    };
    ($name:literal, during $future:expr) => {
        $crate::faults::crash_during($name, $future)
    };
}

/// A place where the process can be made to die, with the feature `faults`.
#[cfg(not(feature = "faults"))]
#[macro_export]
macro_rules! crash {
    ($name:literal) => {};
    ($name:literal, if $condition:expr) => {};
    ($name:literal, once_written) => {
        ::std::future::ready(())
    };
    ($name:literal, during $future:expr) => {
        $future
    };
}

/// Whether the mistake of this name is to be made this time.
#[cfg(feature = "faults")]
#[macro_export]
macro_rules! bug {
    ($name:literal) => {
        $crate::faults::is_made($name)
    };
}

/// Whether the mistake of this name is to be made, with the feature `faults`: never.
#[cfg(not(feature = "faults"))]
#[macro_export]
macro_rules! bug {
    ($name:literal) => {
        false
    };
}
