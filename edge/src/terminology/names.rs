//! Names of concepts as a trie over words: the longest name that begins here, in time that grows with its length.
//!
//! Words get numbers; an edge is `(node, word) → node` in one sorted list. This takes a tenth of the memory of an
//! automaton over letters and is what keeps large vocabularies loadable.
use super::normalise::{Token, tokens};
use std::collections::HashMap;

/// Longest name in words that is kept; longer ones are sentences.
pub const MAX_WORDS: usize = 8;

/// Names and what they stand for.
#[derive(Default)]
pub struct Names<T> {
    words: HashMap<Box<str>, u32>,
    /// Sorted by `node << 32 | word`.
    edges: Vec<(u64, u32)>,
    /// For each node, the entry that ends there.
    ends: Vec<Option<Entry<T>>>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    meaning: T,
    /// The name counts only where it is written in capitals.
    capitals: bool,
}

impl<T> std::fmt::Debug for Names<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("nodes", &self.ends.len()).finish_non_exhaustive()
    }
}

/// The words of a name as the trie keeps them.
pub fn words(name: &str) -> Vec<String> {
    tokens(name).into_iter().map(|token| token.word).collect()
}

impl<T: Copy> Names<T> {
    /// Builds the trie. Of equal names the first wins. `capitals` marks names that count in capitals only.
    pub fn build<'a>(names: impl Iterator<Item = (&'a str, T, bool)>) -> Self {
        Self::build_from(names.map(|(name, meaning, capitals)| (words(name), meaning, capitals)))
    }

    /// As [`Names::build`], of names whose words are already normalised ([`words`]).
    pub fn build_from(names: impl Iterator<Item = (Vec<String>, T, bool)>) -> Self {
        let mut words: HashMap<Box<str>, u32> = HashMap::new();
        let mut edges: HashMap<(u32, u32), u32> = HashMap::new();
        let mut ends: Vec<Option<Entry<T>>> = vec![None];
        for (name, meaning, capitals) in names {
            if name.is_empty() || name.len() > MAX_WORDS {
                continue;
            }
            let mut node = 0u32;
            for token in name {
                let fresh = u32::try_from(words.len()).expect("fewer than 2^32 words");
                let word = *words.entry(token.into_boxed_str()).or_insert(fresh);
                node = *edges.entry((node, word)).or_insert_with(|| {
                    ends.push(None);
                    u32::try_from(ends.len() - 1).expect("fewer than 2^32 nodes")
                });
            }
            ends[node as usize].get_or_insert(Entry { meaning, capitals });
        }
        let mut edges: Vec<(u64, u32)> = edges
            .into_iter()
            .map(|((node, word), next)| (u64::from(node) << 32 | u64::from(word), next))
            .collect();
        edges.sort_unstable();
        Self { words, edges, ends }
    }

    /// Whether a normalised word is part of any name.
    pub fn knows(&self, word: &str) -> bool {
        self.words.contains_key(word)
    }

    /// The longest name that begins with the first token: its meaning and its length in words.
    pub fn longest(&self, tokens: &[Token]) -> Option<(T, usize)> {
        self.longest_where(tokens, |_| true)
    }

    /// As [`Names::longest`], of those whose length in words is allowed.
    pub fn longest_where(
        &self,
        tokens: &[Token],
        is_allowed: impl Fn(usize) -> bool,
    ) -> Option<(T, usize)> {
        let (mut node, mut found) = (0u32, None);
        for (index, token) in tokens.iter().take(MAX_WORDS).enumerate() {
            let Some(word) = self.words.get(token.word.as_str()) else { break };
            let key = u64::from(node) << 32 | u64::from(*word);
            let Ok(edge) = self.edges.binary_search_by_key(&key, |(key, _)| *key) else { break };
            node = self.edges[edge].1;
            if let Some(entry) = &self.ends[node as usize] {
                let in_capitals = tokens[..=index].iter().all(|token| token.capitals);
                if (!entry.capitals || in_capitals) && is_allowed(index + 1) {
                    found = Some((entry.meaning, index + 1));
                }
            }
        }
        found
    }

    /// The names in a run of tokens, left to right, longest first, none overlapping: meaning and range of tokens.
    pub fn find(&self, tokens: &[Token]) -> Vec<(T, std::ops::Range<usize>)> {
        let mut out = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            match self.longest(&tokens[at..]) {
                Some((meaning, length)) => {
                    out.push((meaning, at..at + length));
                    at += length;
                }
                None => at += 1,
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_wins_and_capitals_count() {
        let list = [("diabetes", 1, false), ("type 2 diabetes", 2, false), ("MS", 3, true)];
        let names = Names::build(list.into_iter());
        let find =
            |text| names.find(&tokens(text)).into_iter().map(|(m, _)| m).collect::<Vec<i32>>();
        assert_eq!(find("Type 2 diabetes and diabetes"), [2, 1]);
        assert!(find("type 2 trouble").is_empty());
        assert_eq!(find("MS and ms"), [3]);
    }
}
