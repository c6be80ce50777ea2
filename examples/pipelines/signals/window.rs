//! Averages over one window.

use std::collections::VecDeque;

use pypz::prelude::*;

use super::{Measurement, Summary};
use crate::metrics::METRICS;

/// Averages each value with the ones before it, and keeps how far it is from that average.
#[derive(OperatorSpec, Default)]
pub(super) struct Window {
    /// The entire signal, in order.
    measurements: InputPort<Measurement>,
    /// What came of it, at the end.
    summary: OutputPort<Summary>,
    /// How many values an average is taken over.
    #[parameter(required)]
    length: u32,
    values: VecDeque<f64>,
    last_average: Option<f64>,
    residuals: Vec<f64>,
}

impl Operator for Window {
    /// Nothing is committed before the summary is sent, so that a window which dies sees the entire signal again.
    const COMMIT: Commit = Commit::Manual;

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let measurements = self.measurements.retrieve().await?;
        METRICS.received(measurements.len());
        for value in measurements.iter().filter_map(|measurement| measurement.value) {
            self.add(value);
        }
        Ok(Progress::UntilInputsEnd)
    }

    async fn on_shutdown(&mut self, _cx: &Context) -> Result<()> {
        let residual_mean = mean(self.residuals.iter().copied());
        let variance =
            residual_mean.and_then(|mean_| mean(self.residuals.iter().map(|r| (r - mean_).powi(2))));
        let summary = Summary {
            window: i64::from(self.length),
            points: self.residuals.len() as i64,
            last_average: self.last_average,
            residual_mean,
            residual_std: variance.map(f64::sqrt),
        };
        self.summary.send(summary).await?;
        Ok(())
    }
}

impl Window {
    fn add(&mut self, value: f64) {
        self.values.push_back(value);
        if self.values.len() > self.length as usize {
            self.values.pop_front();
        }
        if self.values.len() == self.length as usize {
            // Summed anew each time: a running sum would gather rounding errors.
            self.last_average = mean(self.values.iter().copied());
            self.residuals
                .extend(self.last_average.map(|average| value - average));
        }
    }
}

/// The mean of some values, if there are any.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}
