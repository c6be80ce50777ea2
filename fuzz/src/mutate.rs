//! Inputs from samples, by a seed.

/// The longest input, in bytes.
const LONGEST: usize = 8192;

/// Numbers at whose ends mistakes live, as varints and in plain bytes.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 53,
    u64::MAX - 1,
    u64::MAX,
];

/// Words of the formats.
const WORDS: [&str; 32] = [
    "null",
    "true",
    "~",
    "1e999",
    "-0",
    "\"",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "\n",
    "  ",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "---\n",
    "# ",
    "${env:",
    "$(env:",
    ":-",
    "://",
    "@",
    "\u{1b}[31m",
    "\u{feff}",
    "\u{202e}",
    ">>",
    "##",
];

/// Makes inputs: the same seed makes the same ones.
#[derive(Debug)]
pub struct Mutator<'a> {
    samples: &'a [Vec<u8>],
    state: u64,
}

impl<'a> Mutator<'a> {
    /// Makes inputs of these samples.
    #[must_use]
    pub const fn new(samples: &'a [Vec<u8>], seed: u64) -> Self {
        Self { samples, state: seed }
    }

    /// The next input: a sample with up to eight changes, at most 8 KiB long. Long samples are cut.
    pub fn input(&mut self) -> Vec<u8> {
        let mut input = self.sample();
        for _ in 0..=self.below(8) {
            self.change(&mut input);
            input.truncate(LONGEST);
        }
        input
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or_default()
    }

    fn sample(&mut self) -> Vec<u8> {
        let at = self.below(self.samples.len());
        let mut sample = self.samples.get(at).cloned().unwrap_or_default();
        sample.truncate(LONGEST);
        sample
    }

    /// A part of an input, at most 64 bytes long.
    fn part(&mut self, input: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(input.len() + 1);
        let length = self.below((input.len() - start + 1).min(64));
        start..start + length
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let part = self.part(input);
        match self.below(9) {
            0 => {
                if let Some(byte) = input.get_mut(part.start) {
                    *byte ^= 1 << (self.next() % 8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(part.start) {
                    *byte = self.next().to_le_bytes()[0];
                }
            }
            2 => _ = input.drain(part),
            3 => {
                let copy = input[part].to_vec();
                self.insert(input, &copy);
            }
            4 => {
                let number = NUMBERS[self.below(NUMBERS.len())];
                let bytes = varint(number);
                self.insert(input, &bytes);
            }
            5 => {
                let number = NUMBERS[self.below(NUMBERS.len())].to_le_bytes();
                let length = 1 << self.below(4);
                let end = part.start.saturating_add(length).min(input.len());
                let target = &mut input[part.start..end];
                target.copy_from_slice(&number[..target.len()]);
            }
            6 => {
                let word = WORDS[self.below(WORDS.len())];
                self.insert(input, word.as_bytes());
            }
            7 => {
                let other = self.sample();
                let taken = self.part(&other);
                input.splice(part, other[taken].iter().copied());
            }
            _ => input.truncate(part.start),
        }
    }

    fn insert(&mut self, input: &mut Vec<u8>, bytes: &[u8]) {
        let at = self.below(input.len() + 1);
        input.splice(at..at, bytes.iter().copied());
    }
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}
