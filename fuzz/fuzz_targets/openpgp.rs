#![no_main]
libfuzzer_sys::fuzz_target!(
    init: elsewhere_fuzz::write_seeds("openpgp"),
    |input: &[u8]| elsewhere_fuzz::run("openpgp", input)
);
