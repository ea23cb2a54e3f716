//! Each harm hurts as it says, and after the heal money moves again.
