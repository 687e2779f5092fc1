#![no_main]
libfuzzer_sys::fuzz_target!(
    init: elsewhere_fuzz::write_seeds("layer"),
    |input: &[u8]| elsewhere_fuzz::run("layer", input)
);
