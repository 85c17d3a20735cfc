//! `when` of a mapping: which rows a map applies to.
use super::RowReader;
use super::mapping::fatal;
use crate::model::Issue;

impl RowReader<'_> {
    /// `hgb not null and sex in ("1", "2") or x = "y"`; `and` binds closer.
    pub(super) fn holds(&self, when: &str) -> Result<bool, Issue> {
        let mut any = false;
        for part in when.split(" or ") {
            let mut all = true;
            for atom in part.split(" and ") {
                all &= self.atom(atom.trim())?;
            }
            any |= all;
        }
        Ok(any)
    }

    fn atom(&self, atom: &str) -> Result<bool, Issue> {
        let wrong = || fatal("csv-when", format!("not a condition: {atom:?}"));
        let (column, rest) = atom.split_once(' ').ok_or_else(wrong)?;
        self.index(column).ok_or_else(wrong)?;
        let cell = self.cell(column).map(|(_, text)| text);
        let unquote = |text: &str| text.trim().trim_matches('"').to_owned();
        let rest = rest.trim();
        if rest == "not null" {
            Ok(cell.is_some())
        } else if rest == "null" {
            Ok(cell.is_none())
        } else if let Some(word) = rest.strip_prefix('=') {
            Ok(cell == Some(unquote(word).as_str()))
        } else if let Some(list) = rest.strip_prefix("in ") {
            let list = list.trim().strip_prefix('(').and_then(|l| l.strip_suffix(')'));
            let list = list.ok_or_else(wrong)?;
            Ok(list.split(',').any(|word| cell == Some(unquote(word).as_str())))
        } else {
            Err(wrong())
        }
    }
}
