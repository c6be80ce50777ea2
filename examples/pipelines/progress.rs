//! How far the run is: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, interval, interval_at};

use crate::metrics::METRICS;
use crate::options::Job;

/// Shows the progress on stderr until it is aborted.
pub(crate) async fn show(job: Job) {
    match &job {
        // Its greetings are its progress.
        Job::Hello(_) => {}
        _ if std::io::stderr().is_terminal() => draw(&job).await,
        _ => print(job.name()).await,
    }
}

/// Takes the bar off the screen when the task is aborted.
struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

async fn draw(job: &Job) {
    let (bar, template) = match job {
        Job::Fanout(options) => (
            ProgressBar::new(options.records),
            "{prefix} {wide_bar} {percent:>3} % {msg}",
        ),
        _ => (ProgressBar::new_spinner(), "{spinner} {prefix} {msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(job.name());
    let bar = Bar(bar);
    let mut tick = interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        let (sent, received) = METRICS.so_far();
        bar.0.set_position(sent);
        bar.0.set_message(format!("{sent} sent, {received} received"));
    }
}

async fn print(job: &str) {
    let period = Duration::from_secs(2);
    let mut tick = interval_at(Instant::now() + period, period);
    loop {
        tick.tick().await;
        let (sent, received) = METRICS.so_far();
        eprintln!("{job}: {sent} sent, {received} received");
    }
}
