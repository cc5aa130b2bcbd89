/// Version of the binary interface that this header describes: the number in libkaspector.so.0. It rises when a program has to be compiled
/// again. What is added at the end of a struct, and new functions, do not raise it.
pub const KASPECTOR_ABI_VERSION: u32 = 0;
