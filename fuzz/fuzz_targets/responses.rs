#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vx11_switch::fuzz::responses(data));
