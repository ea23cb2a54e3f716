//! The report of a run as one page that needs nothing else: text, tables and inline SVG.

use std::fmt::Write;

use anyhow::Result;

use crate::measure::{Latency, Second};
use crate::summary::Summary;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 24.0;
const STYLE: &str = include_str!("html.css");

/// A line of a picture: its name, which is also its CSS class, and its value for each second.
struct Series<'a> {
    name: &'a str,
    value: fn(&Second) -> f64,
}

/// Writes the page.
///
/// # Errors
/// Never; writing to a string cannot fail.
pub fn page(summary: &Summary) -> Result<String> {
    let mut page = String::new();
    write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><title>loadtest {run}</title><style>{STYLE}</style>\
         <h1>Load test {run}</h1><pre>{text}</pre>",
        run = summary.run,
        text = escaped(&summary.text()),
    )?;
    let rates = [
        Series { name: "reads", value: |second| second.reads as f64 },
        Series { name: "transfers", value: |second| second.transfers as f64 },
        Series { name: "failures", value: |second| second.failures as f64 },
    ];
    picture(&mut page, "Answers a second", &summary.seconds, &rates)?;
    let latencies = [
        Series { name: "reads p50", value: |second| second.reads_p50_ms },
        Series { name: "reads p99", value: |second| second.reads_p99_ms },
        Series { name: "transfers p50", value: |second| second.transfers_p50_ms },
        Series { name: "transfers p99", value: |second| second.transfers_p99_ms },
    ];
    picture(&mut page, "Latency, milliseconds", &summary.seconds, &latencies)?;
    percentiles(&mut page, summary)?;
    Ok(page)
}

fn picture(page: &mut String, title: &str, seconds: &[Second], all: &[Series<'_>]) -> std::fmt::Result {
    let top = all.iter().flat_map(|series| seconds.iter().map(series.value)).fold(0.0, f64::max);
    let top = nice_above(top);
    write!(page, "<h2>{title}</h2><svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img aria-label='{title}'>")?;
    for quarter in 0..=4 {
        let value = top * f64::from(quarter) / 4.0;
        let y = y_of(value, top);
        write!(page, "<line class=grid x1={LEFT} x2={WIDTH} y1={y:.1} y2={y:.1} />")?;
        write!(page, "<text x={x} y={y:.1} text-anchor=end dy=4>{value}</text>", x = LEFT - 8.0)?;
    }
    write!(page, "<text x={WIDTH} y={HEIGHT} text-anchor=end>{} s</text>", seconds.len())?;
    for (number, series) in all.iter().enumerate() {
        let points: Vec<String> = seconds
            .iter()
            .enumerate()
            .map(|(second, values)| {
                let x = x_of(second, seconds.len());
                format!("{x:.1},{:.1}", y_of((series.value)(values), top))
            })
            .collect();
        write!(page, "<polyline class=s{number} points='{}' />", points.join(" "))?;
    }
    write!(page, "</svg><p>")?;
    for (number, series) in all.iter().enumerate() {
        write!(page, "<span class='key s{number}'>{}</span> ", series.name)?;
    }
    write!(page, "</p>")
}

fn percentiles(page: &mut String, summary: &Summary) -> std::fmt::Result {
    write!(page, "<h2>Latency by percentile, milliseconds</h2><table><tr><th><th>count")?;
    write!(page, "<th>p50<th>p90<th>p99<th>p99.9<th>max</tr>")?;
    for (name, latency) in &summary.latency {
        let Latency { count, p50_ms, p90_ms, p99_ms, p999_ms, max_ms } = latency;
        write!(page, "<tr><td>{name}<td>{count}")?;
        for ms in [p50_ms, p90_ms, p99_ms, p999_ms, max_ms] {
            write!(page, "<td>{ms:.2}")?;
        }
        write!(page, "</tr>")?;
    }
    write!(page, "</table>")
}

fn x_of(second: usize, seconds: usize) -> f64 {
    let last = seconds.saturating_sub(1).max(1) as f64;
    LEFT + (WIDTH - LEFT) * second as f64 / last
}

fn y_of(value: f64, top: f64) -> f64 {
    8.0 + (HEIGHT - BOTTOM - 8.0) * (1.0 - value / top)
}

/// The next of 1, 2, 4, 8, 10, 20, 40 ... so that quarters of it read well.
fn nice_above(value: f64) -> f64 {
    let mut power = 1.0;
    while power * 10.0 < value {
        power *= 10.0;
    }
    [1.0, 2.0, 4.0, 8.0, 10.0].into_iter().map(|step| step * power).find(|top| *top >= value).unwrap_or(value)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_ends_at_a_round_number_above_all() {
        for (value, top) in [(0.0, 1.0), (1.0, 1.0), (3.0, 4.0), (9.0, 10.0), (11.0, 20.0), (14_900.0, 20_000.0)] {
            assert_eq!(nice_above(value), top);
        }
    }

    #[test]
    fn empty_and_short_series_have_finite_points() {
        for seconds in [vec![], vec![Second::default()], vec![Second { reads: 5, ..Second::default() }; 3]] {
            let mut page = String::new();
            let series = [Series { name: "reads", value: |second| second.reads as f64 }];
            picture(&mut page, "t", &seconds, &series).unwrap();
            assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        }
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<script>&"), "&lt;script&gt;&amp;");
    }
}
