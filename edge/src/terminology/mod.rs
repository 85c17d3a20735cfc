//! Code systems: what a code is called, which concept we prefer for it, and which concepts a name stands for.
//!
//! Shipped in the binary from `edge/data/vocab` (sources and licences in `edge/data/NOTICE`): Human Disease Ontology,
//! Mondo, Symptom Ontology, ICD-10-CM FY2021 with its inclusion terms, RxNorm ingredients and brands, the LOINC codes seen
//! in public examples, and names that people write in abstracts (`edge/data/keywords`, learnt by `learn.py`).
//! SNOMED CT, CPT and others may not be shipped; their codes pass through unchanged and without a display.
//!
//! Preferred concept: a disease's DOID if the code maps to one, else Mondo's, else the code itself; a drug's only
//! ingredient. What an institution owns comes by [`load`] and goes before what ships; every source has its version and
//! hash, and [`Terminology::id`] is one word for all of them.
mod cross;
pub mod lists;
pub mod load;
pub mod names;
pub mod normalise;
pub mod system;
pub mod ucum;

use lists::List;
use load::TermFiles;
use names::Names;
use normalise::Token;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use system::{Source, System};

/// Human Disease Ontology; codes read `DOID:9352`.
pub const DOID: &str = "http://purl.obolibrary.org/obo/doid.owl";
/// Symptom Ontology; codes read `SYMP:0000613`.
pub const SYMP: &str = "http://purl.obolibrary.org/obo/symp.owl";
/// Mondo Disease Ontology; codes read `MONDO:0005148`.
pub const MONDO: &str = "http://purl.obolibrary.org/obo/mondo.owl";
/// Medical Subject Headings, descriptors and supplementary concepts: `D003924`, `C535331`.
pub const MESH: &str = "http://id.nlm.nih.gov/mesh";
/// Online Mendelian Inheritance in Man.
pub const OMIM: &str = "http://www.omim.org";
/// ICD-10-CM.
pub const ICD10CM: &str = "http://hl7.org/fhir/sid/icd-10-cm";
/// RxNorm.
pub const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
/// LOINC.
pub const LOINC: &str = "http://loinc.org";
/// SNOMED CT: codes only, never a display.
pub const SNOMED: &str = "http://snomed.info/sct";

/// Beginning of the code systems of HL7 v2's tables; the table's number follows.
const V2: &str = "http://terminology.hl7.org/CodeSystem/v2-";

/// Narrower concepts of one query concept; beyond that the query is too wide to help.
pub const MAX_NARROWER: usize = 256;
/// Steps from a concept to the root of its ontology.
const MAX_ANCESTORS: usize = 64;
/// Names of fewer letters are matched in capitals only.
const SHORT_NAME: usize = 4;

/// How the preferred concept relates to the code it was found for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Equivalence {
    /// The same, or the code itself.
    Equivalent,
    /// The concept is wider than the code.
    Wider,
    /// The concept is one of several that the code stands for.
    Narrower,
}

impl Equivalence {
    /// FHIR's `ConceptMapEquivalence`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equivalent => "equivalent",
            Self::Wider => "wider",
            Self::Narrower => "narrower",
        }
    }

    fn named(word: &str) -> Option<Self> {
        [Self::Equivalent, Self::Wider, Self::Narrower].into_iter().find(|e| e.as_str() == word)
    }

    /// Two steps in a row: an inexact one makes both inexact, and up and down again says nothing.
    fn then(self, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::Equivalent, other) | (other, Self::Equivalent) => Some(other),
            (a, b) if a == b => Some(a),
            _ => None,
        }
    }
}

/// A concept of a code system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Concept {
    /// Code system, a URI.
    pub system: String,
    /// Code.
    pub code: String,
    /// Name from the shipped list; empty if the list may not be shipped.
    pub display: String,
    /// How close it is to what was asked for.
    pub equivalence: Equivalence,
}

/// A concept that a name can stand for.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Meaning {
    system: &'static str,
    code: String,
    /// The same disease in MeSH (bare) or OMIM (`OMIM:…`), where a list says so: how abstracts are indexed.
    indexed_as: String,
}

/// What a list says about a name before the names are joined.
struct Name<'a> {
    name: std::borrow::Cow<'a, str>,
    meaning: Meaning,
    capitals: bool,
}

/// The loaded code systems.
#[derive(Debug)]
pub struct Terminology {
    doid: List,
    symp: List,
    icd10cm: List,
    rxnorm: List,
    loinc: List,
    mondo: List,
    inclusion: List,
    /// Clinical drugs of RxNorm: code, name.
    clinical: List,
    /// HL7 v2 tables: `system|code`, display.
    v2: List,
    /// What an institution supplied, by code system.
    loaded: HashMap<String, System>,
    /// Every list and file, sorted.
    sources: Vec<Source>,
    /// What the names stand for, by the number that `names` holds.
    meanings: Vec<Meaning>,
    names: Names<u32>,
    cross: cross::Cross,
    /// DOID or SYMP code → codes of its parents and children.
    parents: HashMap<String, Vec<String>>,
    children: HashMap<String, Vec<String>>,
}

impl Terminology {
    /// The shipped lists, unpacked once per process.
    pub fn shipped() -> Arc<Self> {
        static SHIPPED: OnceLock<Arc<Terminology>> = OnceLock::new();
        Arc::clone(SHIPPED.get_or_init(|| Arc::new(Self::with(Vec::new()))))
    }

    /// The shipped lists and the files of an institution.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn open(files: &[TermFiles]) -> Result<Arc<Self>, crate::error::EdgeError> {
        if files.is_empty() {
            return Ok(Self::shipped());
        }
        let loaded: Result<Vec<System>, _> = files.iter().map(load::load).collect();
        Ok(Arc::new(Self::with(loaded?)))
    }

    /// The shipped lists and loaded systems; of two of one system the later counts.
    pub fn with(loaded: Vec<System>) -> Self {
        let mut sources: Vec<Source> = loaded.iter().map(|system| system.source.clone()).collect();
        let mut unpack = |system: &str, version: &str, gz: &[u8]| {
            let sha256 = crate::model::ids::sha256_hex(gz);
            sources.push(Source { system: system.into(), version: version.into(), sha256 });
            List::unpack(gz)
        };
        let doid = unpack(DOID, "2026-08", include_bytes!("../../data/vocab/doid.tsv.gz"));
        let symp = unpack(SYMP, "2026-07-30", include_bytes!("../../data/vocab/symp.tsv.gz"));
        let icd10cm = unpack(ICD10CM, "FY2021", include_bytes!("../../data/vocab/icd10cm.tsv.gz"));
        let inclusion = unpack(
            ICD10CM,
            "FY2021 inclusion terms",
            include_bytes!("../../data/vocab/icd10cm_inclusion_terms.tsv.gz"),
        );
        let rxnorm = unpack(
            RXNORM,
            "2025-10-06",
            include_bytes!("../../data/vocab/rxnorm_ingredients.tsv.gz"),
        );
        let clinical = unpack(
            RXNORM,
            "2025-10-06 clinical drugs",
            include_bytes!("../../data/vocab/rxnorm_clinical_drugs.tsv.gz"),
        );
        let loinc =
            unpack(LOINC, "seen 2026-08", include_bytes!("../../data/vocab/loinc_seen.tsv.gz"));
        let mondo = unpack(MONDO, "2026-08", include_bytes!("../../data/vocab/mondo.tsv.gz"));
        let tables = unpack(V2, "7.3.0", include_bytes!("../../data/vocab/hl7v2_codes.tsv.gz"));
        let mut v2 = String::from("code\tdisplay\n");
        for row in tables.rows() {
            if let [table, code, display, ..] = row.as_slice() {
                v2.push_str(&format!("{V2}{table}|{code}\t{display}\n"));
            }
        }
        for (name, text) in
            [("names", LEARNT), ("stopped names", STOPPED), ("abbreviations", ABBREVIATED)]
        {
            let sha256 = crate::model::ids::sha256_hex(text.as_bytes());
            sources.push(Source {
                system: "urn:msnet:keywords".into(),
                version: name.into(),
                sha256,
            });
        }
        sources.sort();
        let loaded = loaded.into_iter().map(|system| (system.source.system.clone(), system));
        let mut out = Self {
            cross: cross::Cross::new(&doid, &mondo),
            doid,
            symp,
            icd10cm,
            rxnorm,
            loinc,
            mondo,
            inclusion,
            clinical,
            v2: List::of(v2),
            loaded: loaded.collect(),
            sources,
            meanings: Vec::new(),
            names: Names::build(std::iter::empty()),
            parents: HashMap::new(),
            children: HashMap::new(),
        };
        out.link_parents();
        out.cross.choose(&out.parents);
        out.link_names();
        out
    }

    /// Every list and file that answers are made of, sorted.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// First 8 bytes, in hex, of SHA-256 over the sources, a line each: what a summary or an index says it was made with.
    pub fn id(&self) -> String {
        let lines = self.sources.iter();
        let lines = lines.map(|s| format!("{}\t{}\t{}\n", s.system, s.version, s.sha256));
        crate::model::ids::sha256_hex(lines.collect::<String>().as_bytes())[..16].to_owned()
    }

    /// Parents are given by label within the same ontology.
    fn link_parents(&mut self) {
        for list in [&self.doid, &self.symp] {
            let by_label: HashMap<&str, &str> =
                list.rows().filter_map(|row| Some((*row.get(1)?, *row.first()?))).collect();
            for row in list.rows() {
                let [code, _, parents, ..] = row.as_slice() else { continue };
                for parent in parents.split('|').filter_map(|label| by_label.get(label)) {
                    self.parents.entry((*code).into()).or_default().push((*parent).into());
                    self.children.entry((*parent).into()).or_default().push((*code).into());
                }
            }
        }
    }

    /// Learnt names, labels and exact synonyms of diseases and symptoms, inclusion terms; names of ingredients, and brands
    /// as their only ingredient. Of lists that name the same, the first counts; what is indexed in MeSH is asked of all.
    fn link_names(&mut self) {
        let mut names: Vec<Name<'_>> = self.learnt_names();
        self.ontology_names(&mut names);
        self.drug_names(&mut names);
        self.loaded_names(&mut names);
        // People leave out the second word: "type 2 diabetes".
        let diabetes: Vec<Name<'_>> = names
            .iter()
            .filter(|name| name.name.contains("diabetes mellitus"))
            .map(|name| Name {
                name: name.name.replace("diabetes mellitus", "diabetes").into(),
                meaning: name.meaning.clone(),
                capitals: false,
            })
            .collect();
        names.extend(diabetes);
        let stopped: HashSet<Vec<String>> = table(STOPPED)
            .filter_map(|row| Some(names::words(row.first()?)))
            // The most general word of an ontology names nothing.
            .chain(GENERAL.iter().map(|name| names::words(name)))
            .collect();
        let mut by_words: HashMap<Vec<String>, usize> = HashMap::new();
        let mut kept: Vec<(Vec<String>, Name<'_>)> = Vec::new();
        for name in names {
            let words = names::words(&name.name);
            if words.is_empty() || stopped.contains(&words) {
                continue;
            }
            match by_words.get(&words) {
                Some(at) => {
                    let first = &mut kept[*at].1;
                    if is_drug(&first.meaning) || is_drug(&name.meaning) {
                        continue;
                    }
                    if first.meaning.indexed_as.is_empty() {
                        first.meaning.indexed_as = name.meaning.indexed_as;
                    }
                    // An ontology's concept is preferred to an index term or a class of a statistic.
                    if !is_ontology(first.meaning.system) && is_ontology(name.meaning.system) {
                        first.meaning.system = name.meaning.system;
                        first.meaning.code = name.meaning.code;
                    }
                }
                None => {
                    by_words.insert(words.clone(), kept.len());
                    kept.push((words, name));
                }
            }
        }
        let mut meanings: Vec<Meaning> = Vec::new();
        let entries: Vec<(Vec<String>, u32, bool)> = kept
            .into_iter()
            .map(|(words, name)| {
                if meanings.last() != Some(&name.meaning) {
                    meanings.push(name.meaning);
                }
                let index = u32::try_from(meanings.len() - 1).expect("fewer than 2^32 concepts");
                (words, index, name.capitals)
            })
            .collect();
        self.names = Names::build_from(entries.into_iter());
        self.meanings = meanings;
    }

    /// Names from annotated abstracts. Their MeSH or OMIM code leads to a disease of the ontologies where one has it.
    fn learnt_names(&self) -> Vec<Name<'static>> {
        let mut by_index: HashMap<String, (&'static str, &str)> = HashMap::new();
        for (system, list, column) in [(DOID, &self.doid, 4), (MONDO, &self.mondo, 3)] {
            for row in list.rows() {
                let (Some(code), Some(xrefs)) = (row.first(), row.get(column)) else { continue };
                for key in indexed(xrefs) {
                    by_index.entry(key).or_insert((system, *code));
                }
            }
        }
        let learnt = table(LEARNT).filter_map(|row| {
            let [name, codes, capitals, ..] = row.as_slice() else { return None };
            let indexed_as = codes.split('|').next().unwrap_or_default().to_owned();
            let first = indexed_as.split('+').next().unwrap_or_default();
            let (system, code) = by_index.get(first).copied().unwrap_or_else(|| {
                first.strip_prefix("OMIM:").map_or((MESH, first), |code| (OMIM, code))
            });
            let meaning = Meaning { system, code: code.to_owned(), indexed_as: indexed_as.clone() };
            Some(Name { name: (*name).into(), meaning, capitals: *capitals == "1" })
        });
        learnt.collect()
    }

    fn ontology_names<'a>(&'a self, names: &mut Vec<Name<'a>>) {
        let mut add = |name: &'a str, system, code: &str, indexed_as: &str| {
            let meaning =
                Meaning { system, code: code.to_owned(), indexed_as: indexed_as.to_owned() };
            names.push(Name { name: name.into(), meaning, capitals: is_short(name) });
        };
        let exact = |synonyms: &'a str| synonyms.split('|').filter_map(|s| s.strip_prefix("E:"));
        for row in self.doid.rows() {
            let [code, label, _, synonyms, xrefs, ..] = row.as_slice() else { continue };
            let key = indexed(xrefs).next().unwrap_or_default();
            std::iter::once(*label)
                .chain(exact(synonyms))
                .for_each(|name| add(name, DOID, code, &key));
        }
        for row in self.mondo.rows() {
            let [code, label, synonyms, xrefs, ..] = row.as_slice() else { continue };
            let key = indexed(xrefs).next().unwrap_or_default();
            // The preferred concept of a disease is the other ontology's, where they agree.
            let doid = xrefs.split('|').find(|xref| xref.starts_with("DOID:"));
            let doid = doid.filter(|id| self.doid.get(id).is_some());
            let (system, code) = doid.map_or((MONDO, *code), |id| (DOID, id));
            let all = std::iter::once(*label).chain(synonyms.split('|').filter(|s| !s.is_empty()));
            all.for_each(|name| add(name, system, code, &key));
        }
        for row in self.inclusion.rows() {
            if let [code, name, ..] = row.as_slice() {
                let preferred = self.cross.of_icd(code);
                let (system, code) = preferred.map_or((ICD10CM, *code), |(id, _)| (DOID, id));
                add(name, system, code, "");
            }
        }
        for row in self.symp.rows() {
            let [code, label, _, synonyms, ..] = row.as_slice() else { continue };
            std::iter::once(*label)
                .chain(exact(synonyms))
                .for_each(|name| add(name, SYMP, code, ""));
        }
        let labels: HashMap<&str, Meaning> = names
            .iter()
            .rev()
            .filter_map(|name| match &name.name {
                std::borrow::Cow::Borrowed(label) => Some((*label, name.meaning.clone())),
                std::borrow::Cow::Owned(_) => None,
            })
            .collect();
        for row in table(ABBREVIATED) {
            // What can mean two things is left to the document's own definition.
            if let [short, long, "condition" | "symptom", ""] = row.as_slice()
                && let Some(meaning) = labels.get(long).cloned()
            {
                names.push(Name { name: short.to_uppercase().into(), meaning, capitals: true });
            }
        }
    }

    fn drug_names<'a>(&'a self, names: &mut Vec<Name<'a>>) {
        let is_word = |name: &str| name.chars().filter(|c| c.is_alphabetic()).count() > SHORT_NAME;
        for row in self.rxnorm.rows() {
            let [code, kind, name, _, ingredients, ..] = row.as_slice() else { continue };
            let code = match *kind {
                "IN" => *code,
                "BN" if !ingredients.is_empty() && !ingredients.contains('|') => *ingredients,
                _ => continue,
            };
            if is_word(name) {
                let meaning =
                    Meaning { system: RXNORM, code: code.to_owned(), indexed_as: String::new() };
                names.push(Name { name: (*name).into(), meaning, capitals: is_short(name) });
            }
        }
    }

    /// Names of loaded systems that may be looked for in text; each stands for its preferred concept.
    fn loaded_names<'a>(&'a self, names: &mut Vec<Name<'a>>) {
        let mut systems: Vec<&System> = self.loaded.values().collect();
        systems.sort_by(|a, b| a.source.cmp(&b.source));
        for system in systems {
            let uri = &system.source.system;
            for (name, code) in system.names() {
                let concept = self.preferred(uri, code);
                let meaning = Meaning {
                    system: known_uri(&concept.system),
                    code: concept.code,
                    indexed_as: String::new(),
                };
                names.push(Name { name: name.into(), meaning, capitals: is_short(name) });
            }
        }
    }

    /// The name of a code: of the institution's files, else of the shipped lists.
    pub fn display(&self, system: &str, code: &str) -> Option<&str> {
        if let Some(name) = self.loaded.get(system).and_then(|loaded| loaded.display(code)) {
            return Some(name);
        }
        if system.starts_with(V2) {
            return self.v2.get(&format!("{system}|{code}"))?.get(1).copied();
        }
        if system == RXNORM
            && let Some(row) = self.clinical.get(code)
        {
            return row.get(1).copied();
        }
        let (list, column) = match system {
            DOID => (&self.doid, 1),
            SYMP => (&self.symp, 1),
            ICD10CM => (&self.icd10cm, 2),
            RXNORM => (&self.rxnorm, 2),
            LOINC => (&self.loinc, 1),
            MONDO => (&self.mondo, 1),
            _ => return None,
        };
        list.get(code)?.get(column).copied().filter(|name| !name.is_empty())
    }

    fn concept(&self, system: &str, code: &str, equivalence: Equivalence) -> Concept {
        let display = self.display(system, code).unwrap_or_default().to_owned();
        Concept { system: system.into(), code: code.into(), display, equivalence }
    }

    /// The concept under which a code is published and found; the code itself where nothing better is known.
    pub fn preferred(&self, system: &str, code: &str) -> Concept {
        let itself = || self.concept(system, code, Equivalence::Equivalent);
        if let Some((id, equivalence)) = self.cross.disease(system, code) {
            let system = if id.starts_with("DOID:") { DOID } else { MONDO };
            return self.concept(system, id, equivalence);
        }
        if let Some(loaded) = self.loaded.get(system) {
            let maps = loaded.maps(code);
            // Of several targets none stands for the code.
            let targets: HashSet<(&str, &str)> =
                maps.iter().map(|map| (map.system.as_str(), map.code.as_str())).collect();
            if targets.len() == 1
                && let Some(map) = maps.first()
            {
                // A map to ICD is a classification: it is followed only where a disease stands behind it.
                let next = match map.system.as_str() {
                    RXNORM => Some(self.concept(RXNORM, &map.code, map.equivalence)),
                    to => self.cross.disease(to, &map.code).and_then(|(id, further)| {
                        Some(self.concept(DOID, id, map.equivalence.then(further)?))
                    }),
                };
                return next.unwrap_or_else(itself);
            }
            return itself();
        }
        match system {
            RXNORM => match self.rxnorm.get(code).as_deref() {
                Some([_, "BN", _, _, ingredient, ..])
                    if !ingredient.is_empty() && !ingredient.contains('|') =>
                {
                    self.concept(RXNORM, ingredient, Equivalence::Wider)
                }
                Some(_) => itself(),
                None => self.ingredient(code).unwrap_or_else(itself),
            },
            _ => itself(),
        }
    }

    /// The ingredient with whose name a clinical drug's begins; mixtures are written with a slash and have none.
    fn ingredient(&self, code: &str) -> Option<Concept> {
        let row = self.clinical.get(code)?;
        let name = row.get(1).filter(|name| !name.contains(" / "))?;
        let tokens = normalise::tokens(name);
        let (meaning, _) = self.names.longest(&tokens)?;
        let Meaning { system, code, .. } = &self.meanings[meaning as usize];
        (*system == RXNORM).then(|| self.concept(RXNORM, code, Equivalence::Wider))
    }

    /// The codes of another system for a code, as our lists and the institution's maps have them; each says whether it is
    /// equivalent, wider or narrower. Nothing is found by going up and down again.
    pub fn translate(&self, system: &str, code: &str, to: &str) -> Vec<Concept> {
        if system == to {
            return vec![self.concept(system, code, Equivalence::Equivalent)];
        }
        let mut out: Vec<Concept> = Vec::new();
        let mut add = |concept: Concept| {
            if !out.iter().any(|known| known.code == concept.code) {
                out.push(concept);
            }
        };
        if let Some(loaded) = self.loaded.get(system) {
            for map in loaded.maps(code).into_iter().filter(|map| map.system == to) {
                add(self.concept(to, &map.code, map.equivalence));
            }
        }
        let preferred = self.preferred(system, code);
        if preferred.system == to {
            add(preferred.clone());
        }
        if matches!(preferred.system.as_str(), DOID | MONDO) {
            for (found, equivalence) in self.cross.codes(&preferred.code, to) {
                if let Some(equivalence) = preferred.equivalence.then(equivalence) {
                    add(self.concept(to, found, equivalence));
                }
            }
        }
        out
    }

    /// The concepts right above a code.
    pub fn parents(&self, system: &str, code: &str) -> Vec<String> {
        match self.loaded.get(system) {
            Some(loaded) => loaded.parents(code).map(str::to_owned).collect(),
            None if matches!(system, DOID | SYMP) => {
                self.parents.get(code).cloned().unwrap_or_default()
            }
            None if system == ICD10CM => icd_parent(code).into_iter().collect(),
            None => Vec::new(),
        }
    }

    fn children_of(&self, system: &str, code: &str) -> Vec<String> {
        match self.loaded.get(system) {
            Some(loaded) => loaded.children(code).map(str::to_owned).collect(),
            None if matches!(system, DOID | SYMP) => {
                self.children.get(code).cloned().unwrap_or_default()
            }
            None => Vec::new(),
        }
    }

    /// All concepts above a code, nearest first; empty where its system has no hierarchy here.
    pub fn ancestors(&self, system: &str, code: &str) -> Vec<String> {
        if !self.loaded.contains_key(system) && matches!(system, DOID | SYMP) {
            return climb(&self.parents, code);
        }
        let (mut out, mut at) = (Vec::new(), 0);
        let mut next = Some(code.to_owned());
        while let Some(code) = next {
            for parent in self.parents(system, &code) {
                if out.len() < MAX_ANCESTORS && !out.contains(&parent) {
                    out.push(parent);
                }
            }
            next = out.get(at).cloned();
            at += 1;
        }
        out
    }

    /// All concepts below a code, at most [`MAX_NARROWER`].
    pub fn narrower(&self, system: &str, code: &str) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let mut seen = HashSet::from([code.to_owned()]);
        let mut at = 0;
        let mut next = Some(code.to_owned());
        while let Some(code) = next {
            for child in self.children_of(system, &code) {
                if out.len() < MAX_NARROWER && seen.insert(child.clone()) {
                    out.push(child);
                }
            }
            next = out.get(at).cloned();
            at += 1;
        }
        out
    }

    /// The concepts named in a run of tokens, longest match first, with their range of tokens.
    pub fn find(&self, tokens: &[Token]) -> Vec<(Concept, std::ops::Range<usize>)> {
        let found = self.names.find(tokens).into_iter();
        found.map(|(meaning, range)| (self.meant(meaning), range)).collect()
    }

    /// The longest name that begins with the first token, as a number for [`Terminology::meant`], and its length in words.
    pub(crate) fn longest(
        &self,
        tokens: &[Token],
        is_allowed: impl Fn(usize) -> bool,
    ) -> Option<(u32, usize)> {
        self.names.longest_where(tokens, is_allowed)
    }

    /// The concept that a name stands for.
    pub(crate) fn meant(&self, meaning: u32) -> Concept {
        let Meaning { system, code, .. } = &self.meanings[meaning as usize];
        self.concept(system, code, Equivalence::Equivalent)
    }

    /// Whether a normalised word is part of any name.
    pub(crate) fn knows_word(&self, word: &str) -> bool {
        self.names.knows(word)
    }

    /// The code system of the concept that a name stands for.
    pub(crate) fn system_of(&self, meaning: u32) -> &str {
        self.meanings[meaning as usize].system
    }

    /// The MeSH (bare) or OMIM (`OMIM:…`) code of what a name stands for; empty if no list says.
    pub(crate) fn indexed_as(&self, meaning: u32) -> &str {
        &self.meanings[meaning as usize].indexed_as
    }
}

/// All codes above a code.
fn climb(parents_of: &HashMap<String, Vec<String>>, code: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut queue: Vec<&str> = vec![code];
    while let Some(parents) = queue.pop().map(|code| parents_of.get(code)) {
        for parent in parents.into_iter().flatten() {
            if out.len() < MAX_ANCESTORS && !out.contains(parent) {
                out.push(parent.clone());
                queue.push(parent);
            }
        }
    }
    out
}

/// `E11.65` → `E11.6` → `E11`; a category stands under no code.
fn icd_parent(code: &str) -> Option<String> {
    let cut = code.char_indices().next_back().map_or(0, |(at, _)| at);
    let shorter = code[..cut].trim_end_matches('.');
    (shorter.len() >= 3).then(|| shorter.to_owned())
}

/// A code system's URI as names keep it: one of ours, or a copy that lives as long as the program, one a loaded system.
fn known_uri(uri: &str) -> &'static str {
    static KNOWN: std::sync::Mutex<Vec<&'static str>> = std::sync::Mutex::new(Vec::new());
    let mut known = KNOWN.lock().expect("no holder panics");
    if known.is_empty() {
        known.extend([DOID, SYMP, MONDO, MESH, OMIM, ICD10CM, RXNORM, LOINC, SNOMED]);
    }
    match known.iter().find(|name| **name == uri) {
        Some(name) => name,
        None => {
            let name: &'static str = String::leak(uri.to_owned());
            known.push(name);
            name
        }
    }
}

/// Names learnt from annotated abstracts, and names that were found wrong there (`learn.py`).
const LEARNT: &str = include_str!("../../data/keywords/learned_names.tsv");
const STOPPED: &str = include_str!("../../data/keywords/stop_terms.tsv");
const ABBREVIATED: &str = include_str!("../../data/vocab/abbreviations.tsv");
/// Names of everything.
const GENERAL: [&str; 5] = ["disease", "symptom", "syndrome", "disorder", "disease or disorder"];

/// The rows below the header of a table that was compiled in.
fn table(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().skip(1).map(|line| line.split('\t').collect())
}

/// The MeSH codes among cross references, then the OMIM codes.
fn indexed(xrefs: &str) -> impl Iterator<Item = String> {
    let mesh = xrefs.split('|').filter_map(|xref| xref.strip_prefix("MESH:"));
    let mesh = mesh.filter(|code| code.starts_with(['C', 'D'])).map(str::to_owned);
    let omim = xrefs
        .split('|')
        .filter_map(|xref| xref.strip_prefix("MIM:").or_else(|| xref.strip_prefix("OMIM:")))
        .filter(|code| !code.starts_with("PS"))
        .map(|code| format!("OMIM:{code}"));
    mesh.chain(omim)
}

fn is_ontology(system: &str) -> bool {
    matches!(system, DOID | MONDO | SYMP)
}

fn is_drug(meaning: &Meaning) -> bool {
    meaning.system == RXNORM
}

/// A short name in capitals (an abbreviation) counts in capitals only; a short name of one word always does.
fn is_short(name: &str) -> bool {
    let letters = name.chars().filter(|c| c.is_alphabetic()).count();
    let capitals = name.chars().filter(|c| c.is_alphabetic()).all(char::is_uppercase);
    !name.contains(' ') && (letters < SHORT_NAME || (letters <= SHORT_NAME && capitals))
}

#[cfg(test)]
mod tests {
    use super::normalise::tokens;
    use super::*;

    #[test]
    fn shipped_lists_have_the_rows_their_notice_says() {
        let shipped = Terminology::shipped();
        assert_eq!(shipped.doid.len(), 12_246);
        assert_eq!(shipped.symp.len(), 895);
        assert_eq!(shipped.icd10cm.len(), 95_358);
        assert_eq!(shipped.rxnorm.len(), 7_922);
        assert_eq!(shipped.loinc.len(), 2_213);
    }

    #[test]
    fn codes_lead_to_diseases() {
        let shipped = Terminology::shipped();
        let diabetes = shipped.preferred(ICD10CM, "E11.9");
        assert_eq!(
            (diabetes.code.as_str(), diabetes.equivalence),
            ("DOID:9352", Equivalence::Wider)
        );
        assert_eq!(diabetes.display, "type 2 diabetes mellitus");
        assert_eq!(shipped.preferred(ICD10CM, "I21.9").code, "DOID:5844");
        let snomed = shipped.preferred(SNOMED, "44054006");
        assert_eq!((snomed.code.as_str(), snomed.display.as_str()), ("44054006", ""));
        assert_eq!(shipped.preferred(ICD10CM, "é").code, "é");
    }

    #[test]
    fn names_lead_to_concepts() {
        let shipped = Terminology::shipped();
        let find =
            |text| shipped.find(&tokens(text)).into_iter().map(|(c, _)| c.code).collect::<Vec<_>>();
        assert_eq!(find("a heart attack"), ["DOID:5844"]);
        assert_eq!(find("Type II Diabetes Mellitus"), ["DOID:9352"]);
        assert!(find("metformin").iter().all(|code| code == "6809"));
    }

    #[test]
    fn up_and_down() {
        let shipped = Terminology::shipped();
        assert!(shipped.ancestors(DOID, "DOID:9408").contains(&"DOID:5844".to_owned()));
        assert!(shipped.narrower(DOID, "DOID:5844").contains(&"DOID:9408".to_owned()));
        assert!(shipped.narrower(DOID, "DOID:4").len() <= MAX_NARROWER);
        assert!(shipped.ancestors(LOINC, "4548-4").is_empty());
    }
}
