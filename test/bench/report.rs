//! Medians and their ratios, as a table for the terminal and as a plot.

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _};

use anyhow::Result;
use serde::Serialize;

use crate::{
    load::{Figures, Workload},
    nodes::NodeKind,
};

/// One run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Row {
    pub(crate) workload: Workload,
    pub(crate) node: NodeKind,
    pub(crate) figures: Figures,
}

/// The median run of each node by workload.
pub(crate) type Table = BTreeMap<Workload, BTreeMap<NodeKind, Figures>>;

/// The run in the middle, by throughput.
pub(crate) fn medians(rows: &[Row]) -> Table {
    let mut runs: BTreeMap<(Workload, NodeKind), Vec<Figures>> = BTreeMap::new();
    for row in rows {
        runs.entry((row.workload, row.node)).or_default().push(row.figures);
    }
    let mut table = Table::new();
    for ((workload, node), mut figures) in runs {
        figures.sort_by(|a, b| a.included_per_s.total_cmp(&b.included_per_s));
        let median = figures[figures.len() / 2];
        table.entry(workload).or_default().insert(node, median);
    }
    table
}

/// Prints the table; ratios are msnet's figure over the node's.
pub(crate) fn print(table: &Table) -> Result<()> {
    let mut text = String::from(
        "| workload | node | included tx/s | msnet over it | node CPU us/tx | peak MiB | recoveries/s |\n|---|---|---|---|---|---|---|\n",
    );
    for (workload, nodes) in table {
        let own = nodes.get(&NodeKind::Msnet).map(|figures| figures.included_per_s);
        for (node, figures) in nodes {
            let ratio = own.map_or_else(
                || "-".to_owned(),
                |own| format!("{:.2}", own / figures.included_per_s),
            );
            writeln!(
                text,
                "| {workload} | {node} | {:.0} | {ratio} | {:.0} | {} | {:.0} |",
                figures.included_per_s,
                figures.cpu_us_per_tx,
                figures.peak_mib,
                figures.recoveries_per_s
            )?;
        }
    }
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// Bars, a group a workload.
pub(crate) fn svg(table: &Table) -> String {
    const BAR: usize = 22;
    const LEFT: usize = 130;
    const WIDTH: f64 = 420.0;
    let all = || table.values().flat_map(BTreeMap::values);
    let most = all().map(|figures| figures.included_per_s).fold(1.0, f64::max);
    let height = 50 + all().count() * BAR + table.len() * 18;
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="700" height="{height}" font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/><text x="12" y="24" font-size="15">Included transactions per second, one machine, same load (median)</text>"##
    );
    let mut y = 40;
    for (workload, nodes) in table {
        let own = nodes.get(&NodeKind::Msnet).map_or(0.0, |figures| figures.included_per_s);
        for (node, figures) in nodes {
            let width = WIDTH * figures.included_per_s / most;
            let fill = if *node == NodeKind::Msnet { "#0b6e4f" } else { "#9aa5b1" };
            let ratio = match node {
                NodeKind::Msnet => String::new(),
                NodeKind::Anvil | NodeKind::Geth => {
                    format!(" (msnet {:.1}x)", own / figures.included_per_s)
                }
            };
            let (text_y, end) = (y + BAR - 7, LEFT as f64 + width + 6.0);
            let _ = write!(
                out,
                r##"<text x="12" y="{text_y}">{workload}, {node}</text><rect x="{LEFT}" y="{y}" width="{width:.0}" height="{}" fill="{fill}"/><text x="{end:.0}" y="{text_y}">{:.0}{ratio}</text>"##,
                BAR - 4,
                figures.included_per_s,
            );
            y += BAR;
        }
        y += 18;
    }
    out.push_str("</svg>\n");
    out
}
