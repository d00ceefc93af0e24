//! Randomness that follows from a seed.

/// Random numbers that follow from a state (`SplitMix64`): as cheap to begin as to go on.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// Numbers of their own for each `n` of a key.
    pub(super) fn new(key: u64, n: u64) -> Self {
        Self(mixed(n ^ key))
    }

    /// Any number; the first ones of two dice of one key are never the same.
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number from 0 up to but without `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        let wide = u128::from(self.roll()) * u128::from(n);
        u64::try_from(wide >> 64).expect("less than n")
    }

    /// Whether something of this likelihood happens.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are kept")]
    pub(super) fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && ((self.roll() >> 11) as f64) < share * (1_u64 << 53) as f64
    }
}

/// A one-to-one mapping that leaves no pattern.
pub(super) fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
