//! Line plots as SVG, drawn here: units, axes and gridlines to look at, a title and a description to hear.

use std::fmt::Write as _;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use chrono_tz::Tz;
use maud::{Markup, html};

pub(super) const WIDTH: f64 = 480.0;
pub(super) const HEIGHT: f64 = 190.0;
pub(super) const LEFT: f64 = 44.0;
pub(super) const RIGHT: f64 = 14.0;
pub(super) const TOP: f64 = 22.0;
pub(super) const BOTTOM: f64 = 26.0;
/// Seconds that one point of a plot stands for.
const BIN_S: i64 = 5;
/// Horizontal gridlines, about.
pub(super) const LINES: f64 = 4.0;
/// Points further apart than this are not joined: nobody looked in between.
const GAP: TimeDelta = TimeDelta::seconds(15);

/// One line over time.
pub(super) struct Plot<'p> {
    /// Of the element; unique on the page.
    pub(super) id: &'p str,
    pub(super) title: &'p str,
    /// What is measured, such as `events/s`: stands at the axis.
    pub(super) unit: &'p str,
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) zone: Tz,
    /// By time.
    pub(super) points: &'p [(DateTime<Utc>, f64)],
}

impl Plot<'_> {
    pub(super) fn draw(&self) -> Markup {
        let most = self.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let step = nice_step(most.max(1.0) / LINES);
        let top = (most.max(1.0) / step).ceil() * step;
        let x = |at: DateTime<Utc>| {
            let part = seconds(at - self.from) / seconds(self.to - self.from).max(1.0);
            LEFT + part * (WIDTH - LEFT - RIGHT)
        };
        let base = HEIGHT - BOTTOM;
        let y = |value: f64| base - value / top * (base - TOP);
        let rows = std::iter::successors(Some(0.0), |value| Some(value + step));
        let rows: Vec<f64> = rows.take_while(|value| *value <= top + step / 2.0).collect();
        let (line, area) = self.paths(&x, &y, base);
        let (title_id, words_id) = (format!("{}-title", self.id), format!("{}-words", self.id));
        html! {
            svg.plot viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
                aria-labelledby={ (title_id) " " (words_id) } {
                title id=(title_id) { (self.title) ", in " (self.unit) }
                desc id=(words_id) { (self.words(most)) }
                text x="2" y="12" { (self.unit) }
                @for value in rows {
                    line.(if value == 0.0 { "axis" } else { "grid" }) x1=(LEFT) x2=(WIDTH - RIGHT)
                        y1=(round(y(value))) y2=(round(y(value))) {}
                    text x=(LEFT - 6.0) y=(round(y(value) + 4.0)) text-anchor="end" { (short(value)) }
                }
                @for at in self.ticks() {
                    line.axis x1=(round(x(at))) x2=(round(x(at))) y1=(base) y2=(base + 4.0) {}
                    text x=(round(x(at))) y=(HEIGHT - 8.0) text-anchor="middle" {
                        (at.with_timezone(&self.zone).format("%H:%M"))
                    }
                }
                path.area d=(area) {}
                path.line d=(line) {}
            }
        }
    }

    /// What the plot says, for those who do not see it.
    fn words(&self, most: f64) -> String {
        match self.points.last() {
            None => "Nothing was measured yet.".to_string(),
            Some((_, last)) => {
                format!("The last value is {}, the highest {} {}.", short(*last), short(most), self.unit)
            }
        }
    }

    /// Every third minute.
    fn ticks(&self) -> Vec<DateTime<Utc>> {
        let step = TimeDelta::minutes(3);
        let first = self.from.duration_trunc(step).unwrap_or(self.from) + step;
        let ticks = std::iter::successors(Some(first), |at| Some(*at + step));
        ticks.take_while(|at| *at <= self.to).collect()
    }

    /// The line, and what lies below it.
    fn paths(
        &self,
        x: &impl Fn(DateTime<Utc>) -> f64,
        y: &impl Fn(f64) -> f64,
        base: f64,
    ) -> (String, String) {
        let (mut line, mut area) = (String::new(), String::new());
        let joined = self.points.chunk_by(|(before, _), (after, _)| *after - *before <= GAP);
        for piece in joined {
            let [(first, _), ..] = piece else { continue };
            let last = piece.last().map_or(*first, |(at, _)| *at);
            let mut corners = String::new();
            for (at, value) in piece {
                let mark = if corners.is_empty() { 'M' } else { 'L' };
                // Writing into a String can't fail.
                write!(corners, "{mark}{} {}", round(x(*at)), round(y(*value))).unwrap_or_default();
            }
            let below = format!("L{} {base}L{} {base}Z", round(x(last)), round(x(*first)));
            area.push_str(&corners);
            area.push_str(&below);
            line.push_str(&corners);
        }
        (line, area)
    }
}

fn seconds(delta: TimeDelta) -> f64 {
    delta.as_seconds_f64()
}

/// Joins what lies within the same few seconds; bins lie at whole multiples, so a plot does not flicker.
pub(super) fn bins<T: Copy>(
    points: impl Iterator<Item = (DateTime<Utc>, T)>,
    join: impl Fn(T, T) -> T,
) -> Vec<(DateTime<Utc>, T)> {
    let mut bins: Vec<(DateTime<Utc>, T)> = Vec::new();
    for (at, value) in points {
        let start = at.timestamp() - at.timestamp().rem_euclid(BIN_S);
        let Some(start) = DateTime::from_timestamp(start, 0) else { continue };
        match bins.last_mut() {
            Some((last, joined)) if *last == start => *joined = join(*joined, value),
            _ => bins.push((start, value)),
        }
    }
    bins
}

/// A tenth of a pixel is fine enough, and short.
pub(super) fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The next of 1, 2, 5, 10, 20, …: steps that people count in. At least 1: what is plotted are whole things.
pub(super) fn nice_step(wanted: f64) -> f64 {
    let power = 10f64.powf(wanted.max(1.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= wanted);
    step.unwrap_or(10.0 * power).max(1.0)
}

/// `7`, `0.4`, `1.2k`, `30k`, `2M`.
pub(super) fn short(value: f64) -> String {
    let trimmed = |value: f64, unit: &str| {
        let text = format!("{value:.1}");
        format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
    };
    match value {
        value if value >= 1e6 => trimmed(value / 1e6, "M"),
        value if value >= 1e3 => trimmed(value / 1e3, "k"),
        value => trimmed(value, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_that_people_count_in() {
        let steps: Vec<f64> = [0.2, 1.0, 1.2, 3.0, 7.0, 30.0, 4200.0].map(nice_step).into();
        assert_eq!(steps, [1.0, 1.0, 2.0, 5.0, 10.0, 50.0, 5000.0]);
    }

    #[test]
    fn values_at_the_axis_are_short() {
        let texts: Vec<String> = [0.0, 0.44, 7.0, 1200.0, 30_000.0, 2_000_000.0].map(short).into();
        assert_eq!(texts, ["0", "0.4", "7", "1.2k", "30k", "2M"]);
    }

    #[test]
    fn a_plot_has_units_axes_and_words_and_does_not_join_what_nobody_saw() {
        let at = |seconds: i64| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let points = [(at(0), 1.0), (at(5), 9.0), (at(60), 2.0)];
        let plot = Plot {
            id: "appends",
            title: "Appended",
            unit: "events/s",
            from: at(0),
            to: at(900),
            zone: Tz::UTC,
            points: &points,
        };
        let svg = plot.draw().into_string();
        assert!(svg.contains("<title id=\"appends-title\">Appended, in events/s</title>"), "{svg}");
        assert!(svg.contains("The last value is 2, the highest 9 events/s."), "{svg}");
        assert!(svg.contains(">00:03</text>") && svg.contains(">00:15</text>"), "{svg}");
        let line = svg.split("class=\"line\" d=\"").nth(1).and_then(|rest| rest.split('"').next());
        assert_eq!(line.map(|line| line.matches('M').count()), Some(2), "two pieces: {svg}");
    }
}
