//! Has cargo-fuzz drive the target `packs`; without it, tries the files that are named.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = pypz_fuzz::packs(bytes);
});

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    pypz_fuzz::replay(pypz_fuzz::packs)
}
