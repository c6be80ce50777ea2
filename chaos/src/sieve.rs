//! What lets everything of AMQP pass but the broker's confirms.

/// The bytes of a frame before its payload: type, channel and size.
const HEAD: usize = 7;

/// The bytes that tell a confirm from all else: the head, class and method.
const TOLD: usize = HEAD + 4;

/// A frame's type, class and method that confirm messages (`basic.ack`) or refuse them (`basic.nack`).
const METHOD: u8 = 1;
const CONFIRMS: [[u8; 4]; 2] = [[0, 60, 0, 80], [0, 60, 0, 120]];

/// The frames that a broker sends on one connection, one after the other, however its bytes are cut.
#[derive(Debug, Default)]
pub(crate) struct Sieve {
    /// What is known of a frame that nobody can tell yet.
    head: Vec<u8>,
    /// Bytes that are left of the frame in hand.
    left: usize,
    /// Whether that frame is left out.
    is_out: bool,
}

impl Sieve {
    /// What passes of these bytes, and how many confirms begin in them that do not pass because of `withheld`.
    pub(crate) fn pass(&mut self, mut bytes: &[u8], withheld: bool) -> (Vec<u8>, u64) {
        let (mut passed, mut out) = (Vec::with_capacity(bytes.len()), 0);
        while !bytes.is_empty() {
            if self.left > 0 {
                let (now, rest) = bytes.split_at(self.left.min(bytes.len()));
                self.left -= now.len();
                bytes = rest;
                if !self.is_out {
                    passed.extend_from_slice(now);
                }
                continue;
            }
            let (now, rest) = bytes.split_at(self.missing().min(bytes.len()));
            self.head.extend_from_slice(now);
            bytes = rest;
            if self.missing() > 0 {
                continue;
            }
            // The byte behind the payload ends the frame.
            self.left = (HEAD + self.payload() + 1).saturating_sub(self.head.len());
            self.is_out = withheld && self.is_confirm();
            out += u64::from(self.is_out);
            if !self.is_out {
                passed.append(&mut self.head);
            }
            self.head.clear();
        }
        (passed, out)
    }

    /// How many bytes of the head are missing until the frame can be told.
    fn missing(&self) -> usize {
        let is_method = self.head.first() == Some(&METHOD);
        let needed = if is_method && self.payload() >= TOLD - HEAD {
            TOLD
        } else {
            HEAD
        };
        needed.saturating_sub(self.head.len())
    }

    /// The bytes of the frame's payload, as far as they are known.
    fn payload(&self) -> usize {
        let size = self.head.get(3..HEAD).and_then(|size| size.try_into().ok());
        size.map_or(0, |size| u32::from_be_bytes(size) as usize)
    }

    fn is_confirm(&self) -> bool {
        let method = self.head.get(HEAD..TOLD);
        method.is_some_and(|method| CONFIRMS.iter().any(|confirm| confirm == method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 0, 1][..], &size, payload, &[0xce]].concat()
    }

    /// A heartbeat, a confirm, a delivery with its header and a body that looks like a confirm, a refusal, a method of no class.
    fn frames() -> [(Vec<u8>, bool); 7] {
        let confirm = [&CONFIRMS[0][..], &[0, 0, 0, 0, 0, 0, 0, 9, 1]].concat();
        let refusal = [&CONFIRMS[1][..], &[0, 0, 0, 0, 0, 0, 0, 9, 0]].concat();
        [
            (frame(8, &[]), false),
            (frame(METHOD, &confirm), true),
            (frame(METHOD, &[0, 60, 0, 60, 1, b'x']), false),
            (frame(2, &[0, 60, 0, 80]), false),
            (frame(3, &frame(METHOD, &confirm)), false),
            (frame(METHOD, &refusal), true),
            (frame(METHOD, &[0]), false),
        ]
    }

    #[test]
    fn only_confirms_are_left_out_however_the_bytes_are_cut() {
        let all: Vec<u8> = frames().into_iter().flat_map(|(frame, _)| frame).collect();
        let rest = frames().into_iter().filter(|(_, is_confirm)| !is_confirm);
        let rest: Vec<u8> = rest.flat_map(|(frame, _)| frame).collect();
        for (withheld, expected, count) in [(true, &rest, 2), (false, &all, 0)] {
            for piece in 1..=all.len() {
                let (mut sieve, mut passed, mut out) = (Sieve::default(), Vec::new(), 0);
                for bytes in all.chunks(piece) {
                    let (now, more) = sieve.pass(bytes, withheld);
                    passed.extend(now);
                    out += more;
                }
                assert_eq!((&passed, out), (expected, count), "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_began_before_the_fault_ends_as_it_began() {
        let all: Vec<u8> = frames().into_iter().flat_map(|(frame, _)| frame).collect();
        let mut sieve = Sieve::default();
        // In the middle of the first confirm.
        let (first, second) = all.split_at(8 + 12);
        let mut passed = sieve.pass(first, false).0;
        let (rest, out) = sieve.pass(second, true);
        passed.extend(rest);
        let refusal = frames()[5].0.len();
        assert_eq!((passed.len(), out), (all.len() - refusal, 1));
    }
}
