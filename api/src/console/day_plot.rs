//! Plots with a value a day: a line for what stands, bars for what came in a day.

use std::fmt::Write as _;

use chrono::NaiveDate;
use maud::{Markup, html};

use super::plot::{BOTTOM, HEIGHT, LEFT, LINES, RIGHT, TOP, WIDTH, nice_step, round, short};

/// Days that are named at the axis, at most.
const TICKS_MAX: usize = 6;
/// Of its day's width, a bar takes so much.
const BAR: f64 = 0.7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// From the lowest value, so that a small change is seen.
    Line,
    /// From zero.
    Bars,
}

/// A value for each day; none where it is not known.
pub(super) struct DayPlot<'p> {
    /// Of the element; unique on the page.
    pub(super) id: &'p str,
    pub(super) title: &'p str,
    /// What is counted: stands at the axis.
    pub(super) unit: &'p str,
    pub(super) shape: Shape,
    pub(super) days: &'p [(NaiveDate, Option<i64>)],
}

/// From value to place.
struct Scale {
    floor: f64,
    top: f64,
    step: f64,
}

impl Scale {
    fn of(shape: Shape, values: impl Iterator<Item = f64> + Clone) -> Self {
        let most = values.clone().fold(f64::NEG_INFINITY, f64::max).max(0.0);
        let least = match shape {
            Shape::Line => values.fold(f64::INFINITY, f64::min).min(most),
            Shape::Bars => values.fold(0.0, f64::min),
        };
        let step = nice_step((most - least).max(1.0) / LINES);
        let floor = (least / step).floor() * step;
        let top = ((most / step).ceil() * step).max(floor + step);
        Self { floor, top, step }
    }

    fn y(&self, value: f64) -> f64 {
        let base = HEIGHT - BOTTOM;
        base - (value - self.floor) / (self.top - self.floor) * (base - TOP)
    }

    fn rows(&self) -> Vec<f64> {
        let rows = std::iter::successors(Some(self.floor), |value| Some(value + self.step));
        rows.take_while(|value| *value <= self.top + self.step / 2.0).collect()
    }
}

impl DayPlot<'_> {
    pub(super) fn draw(&self) -> Markup {
        let known: Vec<f64> = self.days.iter().filter_map(|(_, value)| value.map(float)).collect();
        let scale = Scale::of(self.shape, known.iter().copied());
        let (title_id, words_id) = (format!("{}-title", self.id), format!("{}-words", self.id));
        let base = HEIGHT - BOTTOM;
        html! {
            svg.plot viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
                aria-labelledby={ (title_id) " " (words_id) } {
                title id=(title_id) { (self.title) ", in " (self.unit) }
                desc id=(words_id) { (self.words()) }
                text x="2" y="12" { (self.unit) }
                @for value in scale.rows() {
                    line.(if value == scale.floor { "axis" } else { "grid" }) x1=(LEFT) x2=(WIDTH - RIGHT)
                        y1=(round(scale.y(value))) y2=(round(scale.y(value))) {}
                    text x=(LEFT - 6.0) y=(round(scale.y(value) + 4.0)) text-anchor="end" { (short(value)) }
                }
                @for (nth, (day, _)) in self.days.iter().enumerate().step_by(self.days.len().div_ceil(TICKS_MAX).max(1)) {
                    line.axis x1=(round(self.x(nth))) x2=(round(self.x(nth))) y1=(base) y2=(base + 4.0) {}
                    text x=(round(self.x(nth))) y=(HEIGHT - 8.0) text-anchor="middle" { (day.format("%-d %b")) }
                }
                @match self.shape {
                    Shape::Line => path.line d=(self.line(&scale)) {},
                    Shape::Bars => path.bars d=(self.bars(&scale)) {},
                }
            }
        }
    }

    /// The middle of a day.
    fn x(&self, nth: usize) -> f64 {
        LEFT + (index(nth) + 0.5) * self.width()
    }

    fn width(&self) -> f64 {
        (WIDTH - LEFT - RIGHT) / index(self.days.len().max(1))
    }

    /// Joins days that follow on each other; a day by itself is a short stroke.
    fn line(&self, scale: &Scale) -> String {
        let mut path = String::new();
        let mut is_joined = false;
        for (nth, (_, value)) in self.days.iter().enumerate() {
            let Some(value) = value.map(float) else {
                is_joined = false;
                continue;
            };
            let (x, y) = (self.x(nth), round(scale.y(value)));
            let is_alone = !is_joined && self.days.get(nth + 1).is_none_or(|(_, next)| next.is_none());
            // Writing into a String can't fail.
            if is_alone {
                let half = self.width().min(6.0) / 2.0;
                write!(path, "M{} {y}L{} {y}", round(x - half), round(x + half)).unwrap_or_default();
            } else {
                write!(path, "{}{} {y}", if is_joined { 'L' } else { 'M' }, round(x)).unwrap_or_default();
            }
            is_joined = true;
        }
        path
    }

    fn bars(&self, scale: &Scale) -> String {
        let mut path = String::new();
        let (zero, half) = (round(scale.y(0.0)), self.width() * BAR / 2.0);
        for (nth, (_, value)) in self.days.iter().enumerate() {
            let Some(value) = value.map(float).filter(|value| *value != 0.0) else { continue };
            let (x, y) = (self.x(nth), round(scale.y(value)));
            let (left, right) = (round(x - half), round(x + half));
            write!(path, "M{left} {zero}L{left} {y}L{right} {y}L{right} {zero}Z").unwrap_or_default();
        }
        path
    }

    /// What the plot says, for those who do not see it.
    fn words(&self) -> String {
        let known = self.days.iter().filter_map(|(day, value)| Some((day, (*value)?)));
        let Some((last_day, last)) = known.clone().next_back() else {
            return "Nothing was counted in these days.".to_string();
        };
        let (most_day, most) = known.clone().max_by_key(|(_, value)| *value).unwrap_or((last_day, last));
        let missing = self.days.len() - known.count();
        let gaps = if missing == 0 { String::new() } else { format!(" Not known on {missing} days.") };
        format!(
            "The last value is {last}, on {}; the highest {most}, on {}.{gaps}",
            last_day.format("%-d %B"),
            most_day.format("%-d %B"),
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
fn float(value: i64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
fn index(nth: usize) -> f64 {
    nth as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(shape: Shape, values: &[Option<i64>]) -> String {
        let first: NaiveDate = "2026-05-01".parse().expect("is a day");
        let days: Vec<_> = first.iter_days().zip(values.iter().copied()).collect();
        DayPlot { id: "likes", title: "Likes", unit: "likes", shape, days: &days }.draw().into_string()
    }

    fn path<'s>(svg: &'s str, class: &str) -> &'s str {
        let rest = svg.split(&format!("class=\"{class}\" d=\"")).nth(1).expect("has a path");
        rest.split('"').next().expect("has an end")
    }

    #[test]
    fn a_day_that_nobody_knows_is_a_gap_and_not_a_zero() {
        let svg = drawn(Shape::Line, &[Some(10), Some(12), None, Some(11)]);
        assert_eq!(path(&svg, "line").matches('M').count(), 2, "{svg}");
        assert!(svg.contains("Not known on 1 days."), "{svg}");
        assert!(svg.contains("The last value is 11, on 4 May; the highest 12, on 2 May."), "{svg}");
        let svg = drawn(Shape::Bars, &[Some(3), None, Some(0), Some(-1)]);
        assert_eq!(path(&svg, "bars").matches('Z').count(), 2, "{svg}");
    }

    #[test]
    fn a_plot_of_nothing_says_so_and_has_its_axes() {
        let svg = drawn(Shape::Line, &[None, None]);
        assert!(svg.contains("Nothing was counted in these days."), "{svg}");
        assert!(svg.contains(">1 May</text>") && svg.contains("class=\"axis\""), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_line_begins_at_the_lowest_value_and_bars_at_zero() {
        let svg = drawn(Shape::Line, &[Some(1000), Some(1004)]);
        assert!(svg.contains(">1k</text>") && !svg.contains(">0</text>"), "{svg}");
        assert!(drawn(Shape::Bars, &[Some(1000)]).contains(">0</text>"));
    }
}
