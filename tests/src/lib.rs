//! Black-box tests: they start the real binaries and speak only HTTP.
