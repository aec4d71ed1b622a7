//! How many different hashes there were, in little memory: exactly while they are few, and by
//! HyperLogLog with an error of about 1.6 % (one standard deviation) beyond.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// Bits of a hash that choose a register.
const CHOOSING: u32 = 12;
const REGISTERS: usize = 1 << CHOOSING;
/// Bits of a hash whose zeros are counted.
const COUNTING: u32 = 64 - CHOOSING;
/// Hashes that are remembered as they are.
const REMEMBERED: usize = 2_048;

/// A set of hashes that answers how many it holds.
#[derive(Debug, Default)]
pub(super) struct Sketch {
    few: Few,
    registers: Registers,
}

/// The hashes themselves, until there are too many.
#[derive(Debug)]
enum Few {
    Hashes(HashSet<u64, BuildHasherDefault<Itself>>),
    TooMany,
}

impl Default for Few {
    fn default() -> Self {
        Self::Hashes(HashSet::default())
    }
}

impl Sketch {
    /// Adds a hash; one that is in it already changes nothing.
    pub(super) fn add(&mut self, hash: u64) {
        if let Few::Hashes(hashes) = &mut self.few {
            hashes.insert(hash);
            if hashes.len() > REMEMBERED {
                self.few = Few::TooMany;
            }
        }
        self.registers.add(hash);
    }

    /// How many different hashes were added.
    pub(super) fn count(&self) -> f64 {
        match &self.few {
            Few::Hashes(hashes) => hashes.len() as f64,
            Few::TooMany => self.registers.count(),
        }
    }
}

/// HyperLogLog: of each register the greatest number of leading zeros, plus one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registers(Vec<u8>);

impl Default for Registers {
    fn default() -> Self {
        Self(vec![0; REGISTERS])
    }
}

impl Registers {
    /// Adds a hash.
    pub(super) fn add(&mut self, hash: u64) {
        let chosen = (hash >> COUNTING) as usize;
        // A one behind the counted bits ends the zeros there.
        let counted = (hash << CHOOSING) | (1 << (CHOOSING - 1));
        let zeros = counted.leading_zeros() as u8 + 1;
        if let Some(register) = self.0.get_mut(chosen) {
            *register = zeros.max(*register);
        }
    }

    /// Adds the hashes of `other`.
    pub(super) fn unite(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own = (*other).max(*own);
        }
    }

    /// About how many different hashes were added: Ertl's estimator ("New cardinality estimation
    /// algorithms for HyperLogLog sketches", 2017), which needs no correction for few or many.
    pub(super) fn count(&self) -> f64 {
        let mut with = [0_u32; COUNTING as usize + 2];
        for register in &self.0 {
            if let Some(count) = with.get_mut(usize::from(*register)) {
                *count += 1;
            }
        }
        let registers = REGISTERS as f64;
        let mut counts = with.into_iter().map(f64::from);
        let empty = counts.next().unwrap_or_default();
        let full = counts.next_back().unwrap_or_default();
        let mut sum = registers * tau(1.0 - full / registers);
        for count in counts.rev() {
            sum = 0.5 * (sum + count);
        }
        sum += registers * sigma(empty / registers);
        registers * registers / (2.0 * std::f64::consts::LN_2 * sum)
    }
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut factor, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * factor;
        factor *= 2.0;
        if sum <= before {
            return sum;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut factor, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        factor *= 0.5;
        sum -= (1.0 - x).powi(2) * factor;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

/// Hashes a hash to itself.
#[derive(Debug, Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash of `number` that is the same in every run.
    fn hash(number: u64) -> u64 {
        let mut hash = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }

    #[test]
    fn few_are_counted_exactly_and_many_nearly() {
        for (many, tolerance) in [
            (0, 0.0),
            (1, 0.0),
            (25, 0.0),
            (2_048, 0.0),
            (15_000, 0.05),
            (500_000, 0.05),
        ] {
            let mut sketch = Sketch::default();
            for number in 0..many {
                sketch.add(hash(number));
                sketch.add(hash(number / 2));
            }
            let (found, many) = (sketch.count(), many as f64);
            assert!(
                (found - many).abs() <= tolerance * many,
                "{found} of {many}"
            );
        }
    }

    #[test]
    fn registers_count_few_and_none_too() {
        let mut registers = Registers::default();
        assert_eq!(registers.count(), 0.0);
        for number in 0..100 {
            registers.add(hash(number));
        }
        let found = registers.count();
        assert!((found - 100.0).abs() <= 5.0, "{found}");
    }

    #[test]
    fn a_union_counts_what_both_hold_once() {
        let (mut one, mut other) = (Registers::default(), Registers::default());
        (0..10_000).for_each(|number| one.add(hash(number)));
        (5_000..15_000).for_each(|number| other.add(hash(number)));
        one.unite(&other);
        let found = one.count();
        assert!((found - 15_000.0).abs() <= 750.0, "{found}");
    }
}
