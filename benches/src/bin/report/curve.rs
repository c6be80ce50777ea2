//! Throughput over partitions, drawn.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;
use pypz_benches::figures::Figure;

use super::shown;

/// Records a second over partitions, of both sides.
pub(crate) fn draw(file: &Path, figures: &[Figure]) -> Result<()> {
    let points: Vec<(f64, f64, f64)> = figures
        .iter()
        .filter_map(|figure| {
            let partitions = figure.name.strip_prefix("partitions/Kafka: ")?.parse().ok()?;
            Some((partitions, figure.ours, figure.bare?))
        })
        .collect();
    if points.is_empty() {
        return Ok(());
    }
    let highest = points
        .iter()
        .map(|(_, ours, bare)| ours.max(*bare))
        .fold(0.0, f64::max);
    let area = SVGBackend::new(file, (720, 360)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(20)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d((1.0..1_000.0_f64).log_scale(), 0.0..highest * 1.1)?;
    // The backend would measure text with fonts that not every machine has: it is put in at the end.
    chart.configure_mesh().draw()?;
    for (line, colour) in [(0, BLUE), (1, RED)] {
        let of =
            |(partitions, ours, bare): &(f64, f64, f64)| (*partitions, if line == 0 { *ours } else { *bare });
        chart.draw_series(LineSeries::new(points.iter().map(of), colour.stroke_width(2)))?;
    }
    area.present()?;
    drop(chart);
    drop(area);
    label(file, highest * 1.1)
}

/// Puts the words of the axes and of both lines into the drawing.
fn label(file: &Path, highest: f64) -> Result<()> {
    let drawn = std::fs::read_to_string(file)?;
    let (left, right, top, bottom) = (90.0, 700.0, 20.0, 310.0);
    let text = |x: f64, y: f64, anchor: &str, colour: &str, words: &str| {
        format!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{colour}\" font-family=\"sans-serif\" \
             font-size=\"12\">{words}</text>\n"
        )
    };
    let mut words = String::new();
    for (place, partitions) in [1, 10, 100, 1_000].iter().enumerate() {
        let x = left + (right - left) * place as f64 / 3.0;
        words += &text(
            x,
            bottom + 18.0,
            "middle",
            "black",
            &format!("{partitions} partitions"),
        );
    }
    for part in 0..=4 {
        let share = f64::from(part) / 4.0;
        let y = bottom - (bottom - top) * share + 4.0;
        words += &text(
            left - 6.0,
            y,
            "end",
            "black",
            &format!("{}/s", shown((highest * share).round())),
        );
    }
    words += &text(right, top + 14.0, "end", "blue", "pypz");
    words += &text(right, top + 30.0, "end", "red", "bare rdkafka");
    let labelled = drawn.replace("</svg>", &format!("{words}</svg>"));
    std::fs::write(file, labelled)?;
    Ok(())
}
