//! Which codes of other systems name a disease, by the cross references of the Human Disease Ontology and Mondo.
//!
//! A reference says "the same" as far as the two systems can. Where several diseases refer to one code, the code is wider
//! than each of them; where one disease refers to several codes of a system, each of them is narrower than the disease.
use super::lists::List;
use super::{Equivalence, ICD10CM, MESH, MONDO, OMIM, climb};
use std::collections::HashMap;

/// Prefixes of the references and the code systems they stand for.
const SYSTEMS: [(&str, &str); 6] = [
    ("ICD10CM:", ICD10CM),
    ("MESH:", MESH),
    ("MIM:", OMIM),
    ("OMIM:", OMIM),
    ("ORDO:", ORPHANET),
    ("Orphanet:", ORPHANET),
];
/// Orphanet's nomenclature of rare diseases.
pub(super) const ORPHANET: &str = "http://www.orpha.net";

/// The references both ways.
#[derive(Debug, Default)]
pub(super) struct Cross {
    /// System and code → diseases that refer to it, the chosen one first.
    diseases: HashMap<(&'static str, String), Vec<String>>,
    /// Disease → systems and codes it refers to.
    codes: HashMap<String, Vec<(&'static str, String)>>,
    /// Mondo → the same in DOID.
    doid: HashMap<String, String>,
}

impl Cross {
    pub(super) fn new(doid: &List, mondo: &List) -> Self {
        let mut out = Self::default();
        for row in doid.rows() {
            let [id, _, _, _, xrefs, ..] = row.as_slice() else { continue };
            out.add(id, xrefs);
        }
        for row in mondo.rows() {
            let [id, _, _, xrefs, ..] = row.as_slice() else { continue };
            let same = xrefs.split('|').find(|xref| doid.get(xref).is_some());
            match same {
                Some(same) => {
                    out.doid.insert((*id).to_owned(), same.to_owned());
                    out.add(same, xrefs);
                }
                None => out.add(id, xrefs),
            }
        }
        out
    }

    fn add(&mut self, disease: &str, xrefs: &str) {
        for xref in xrefs.split('|') {
            let found = SYSTEMS.iter().find_map(|(p, s)| Some((*s, xref.strip_prefix(p)?)));
            let Some((system, code)) = found.filter(|(_, code)| !code.is_empty()) else { continue };
            let diseases = self.diseases.entry((system, code.to_owned())).or_default();
            if !diseases.iter().any(|known| known == disease) {
                diseases.push(disease.to_owned());
                let codes = self.codes.entry(disease.to_owned()).or_default();
                codes.push((system, code.to_owned()));
            }
        }
    }

    /// Of several diseases with one code the most general comes first, then those in DOID, then the one listed first.
    pub(super) fn choose(&mut self, parents: &HashMap<String, Vec<String>>) {
        for diseases in self.diseases.values_mut().filter(|diseases| diseases.len() > 1) {
            let is_under = |code: &String, above: &String| climb(parents, code).contains(above);
            let general = diseases
                .iter()
                .position(|id| diseases.iter().all(|other| other == id || is_under(other, id)));
            if let Some(first) = general.or(diseases.iter().position(|id| id.starts_with("DOID:")))
            {
                diseases.swap(0, first);
            }
        }
    }

    /// The disease that a code of another system stands for, and what it is to the code. ICD-10-CM codes are shortened
    /// within their three-character category, as a chapter says too little.
    pub(super) fn disease<'a>(
        &'a self,
        system: &str,
        code: &str,
    ) -> Option<(&'a str, Equivalence)> {
        match system {
            ICD10CM => self.of_icd_or_above(code),
            MONDO => self.doid.get(code).map(|id| (id.as_str(), Equivalence::Equivalent)),
            _ => self.exact(system, code),
        }
    }

    /// The disease that refers to exactly this ICD-10-CM code.
    pub(super) fn of_icd(&self, code: &str) -> Option<(&str, Equivalence)> {
        self.exact(ICD10CM, code)
    }

    fn exact(&self, system: &str, code: &str) -> Option<(&str, Equivalence)> {
        let (_, system) = SYSTEMS.iter().find(|(_, name)| *name == system)?;
        let diseases = self.diseases.get(&(*system, code.to_owned()))?;
        let first = diseases.first()?;
        let codes = self.codes.get(first)?.iter().filter(|(other, _)| other == system).count();
        let equivalence = match (diseases.len(), codes) {
            (1, 1) => Equivalence::Equivalent,
            (1, _) => Equivalence::Wider,
            _ => Equivalence::Narrower,
        };
        Some((first, equivalence))
    }

    fn of_icd_or_above(&self, code: &str) -> Option<(&str, Equivalence)> {
        let mut prefix = code;
        while prefix.trim_end_matches('.').len() >= 3 {
            let key = prefix.trim_end_matches('.');
            if let Some((id, equivalence)) = self.of_icd(key) {
                let how = if key == code { equivalence } else { Equivalence::Wider };
                return Some((id, how));
            }
            let cut = prefix.char_indices().next_back().map_or(0, |(at, _)| at);
            prefix = &prefix[..cut];
        }
        None
    }

    /// The codes of a system to which a disease refers, and what each is to the disease.
    pub(super) fn codes<'a>(
        &'a self,
        disease: &str,
        to: &'a str,
    ) -> impl Iterator<Item = (&'a str, Equivalence)> {
        let all = self.codes.get(disease).map(Vec::as_slice).unwrap_or_default();
        let mine = move |(system, _): &&(&'static str, String)| *system == to;
        let count = all.iter().filter(mine).count();
        all.iter().filter(mine).map(move |(system, code)| {
            let shared = self.diseases.get(&(*system, code.clone())).map_or(0, Vec::len) > 1;
            let equivalence = match (shared, count) {
                (true, _) => Equivalence::Wider,
                (false, 1) => Equivalence::Equivalent,
                _ => Equivalence::Narrower,
            };
            (code.as_str(), equivalence)
        })
    }
}
