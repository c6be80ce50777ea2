//! Puts the windows side by side.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pypz::prelude::*;

use super::Summary;
use crate::output;

/// Collects the summaries, by window.
#[derive(OperatorSpec, Default)]
pub(super) struct Compare {
    /// One summary a window.
    summaries: InputPort<Summary>,
    /// Where to write the result as JSON.
    #[parameter]
    output: Option<PathBuf>,
    by_window: BTreeMap<i64, Summary>,
}

/// The file.
#[derive(Serialize)]
struct File<'a> {
    signals: Vec<&'a Summary>,
}

impl Operator for Compare {
    /// As in `window`.
    const COMMIT: Commit = Commit::Manual;

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let summaries = self.summaries.retrieve().await?;
        self.by_window
            .extend(summaries.into_iter().map(|summary| (summary.window, summary)));
        Ok(Progress::UntilInputsEnd)
    }

    async fn on_shutdown(&mut self, _cx: &Context) -> Result<()> {
        output::line("window  points  last average  residual mean  residual std");
        for summary in self.by_window.values() {
            output::line(&format!(
                "{:>6}  {:>6}  {:>12}  {:>13}  {:>12}",
                summary.window,
                summary.points,
                output::cell(summary.last_average, 2),
                output::cell(summary.residual_mean, 4),
                output::cell(summary.residual_std, 4),
            ));
        }
        if let Some(path) = &self.output {
            let signals = self.by_window.values().collect();
            output::write_json(path, &File { signals })?;
        }
        Ok(())
    }
}
