//! Embeddings: unit vectors that depend only on the text.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Numbers of a vector where the request does not say.
pub(crate) const DEFAULT_DIMENSIONS: usize = 64;
/// Most numbers of a vector.
pub(crate) const MAX_DIMENSIONS: usize = 4096;

/// What is to be embedded.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// A model, with faults behind a `+`.
    pub(crate) model: String,
    /// Each thing to embed, and how many tokens it has.
    pub(crate) items: Vec<(String, u64)>,
    /// Numbers of a vector.
    pub(crate) dimensions: Option<usize>,
}

/// The vector of `text`, of length one.
pub(crate) fn embed(text: &str, dimensions: usize) -> Vec<f32> {
    let component = |index: usize| {
        let hash = xxh3_64_with_seed(text.as_bytes(), index as u64);
        // The top 24 bits, which a float holds exactly, moved to -1..1.
        ((hash >> 40) as f32 / (1_u32 << 23) as f32) - 1.0
    };
    let raw: Vec<f32> = (0..dimensions).map(component).collect();
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    raw.into_iter().map(|x| x / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_stable_and_of_length_one() {
        let vector = embed("hello", 256);
        assert_eq!(vector, embed("hello", 256));
        assert_ne!(vector, embed("hello!", 256));
        assert!((vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}
