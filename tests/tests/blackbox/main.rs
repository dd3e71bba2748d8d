//! Everything that must hold of the real binaries, by subject.

mod classic;
