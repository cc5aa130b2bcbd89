//! Plots as SVG, to stand in a page: their texts and lines take the page's colours, and what they show stands in a table beside them.

use super::figures::Interval;
use crate::escape::for_terminal;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::{Display, Write};

/// The colours tell apart on white and on black.
const RED: RGBColor = RGBColor(0xd9, 0x30, 0x25);
const AMBER: RGBColor = RGBColor(0xc7, 0x77, 0x00);
const GREY: RGBColor = RGBColor(0x7a, 0x7f, 0x87);
const BLUE: RGBColor = RGBColor(0x4d, 0x7f, 0xc4);
/// Any: the page gives it its own.
const INK: RGBColor = BLACK;

const WIDTH: u32 = 640;
const BAR: i32 = 18;
const STEP: i32 = 26;
const FONT: (&str, i32) = ("sans-serif", 15);
const LABEL_MAX: usize = 26;

/// One bar of several parts.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it is.
    pub label: String,
    /// How long each part is.
    pub parts: Vec<usize>,
}

/// The parts of the bars of endpoints: confirmed, suspected, browsing.
pub const VERDICTS: [(&str, RGBColor); 3] = [("confirmed", RED), ("suspected", AMBER), ("browsing", GREY)];
/// The parts of the bar of machines.
pub const MACHINES: [(&str, RGBColor); 1] = [("machines", BLUE)];
/// The parts of the bars of inventories: endpoints with later evidence than the one before has, and those without.
pub const STAGES: [(&str, RGBColor); 2] = [("heard", BLUE), ("silent", GREY)];
/// The parts of the plot over time.
const OVER_TIME: [(&str, RGBColor); 2] = [("present", BLUE), ("first seen", AMBER)];

/// Bars that lie, one below the other, each with its sum.
pub fn bars(name: &str, title: &str, about: &str, bars: &[Bar], parts: &[(&str, RGBColor)]) -> String {
    let rows = i32::try_from(bars.len()).unwrap_or(0);
    let (left, top) = (190, if parts.len() > 1 { 30 } else { 6 });
    let height = u32::try_from(top + rows * STEP + 6).unwrap_or(0);
    let most = bars.iter().map(|bar| bar.parts.iter().sum::<usize>()).max().unwrap_or(0).max(1);
    drawn(name, title, about, (WIDTH, height), |root| {
        if parts.len() > 1 {
            legend(root, parts, left)?;
        }
        for (number, bar) in (0..).zip(bars) {
            let y = top + number * STEP;
            text(root, &shortened(&bar.label), (left - 8, y + BAR / 2), HPos::Right)?;
            let mut x = left;
            for (count, (_, colour)) in bar.parts.iter().zip(parts) {
                let end = x + length(*count, most, i32::try_from(WIDTH).unwrap_or(0) - left - 70);
                if end > x {
                    root.draw(&Rectangle::new([(x, y), (end, y + BAR)], colour.filled()))?;
                }
                x = end;
            }
            text(root, &bar.parts.iter().sum::<usize>().to_string(), (x + 6, y + BAR / 2), HPos::Left)?;
        }
        Ok(())
    })
}

/// Endpoints over time: those that were there, and before them those that were seen first.
pub fn over_time(name: &str, title: &str, about: &str, intervals: &[Interval]) -> String {
    let most = intervals.iter().map(|interval| interval.present.max(interval.first_seen)).max().unwrap_or(0).max(1);
    drawn(name, title, about, (WIDTH, 230), |root| {
        legend(root, &OVER_TIME, 56)?;
        let count = intervals.len().max(1);
        let mut chart = ChartBuilder::on(root)
            .margin_top(30)
            .margin_right(12)
            .x_label_area_size(28)
            .y_label_area_size(50)
            .build_cartesian_2d(0..count * 10, 0..most + most.div_ceil(20))?;
        let label = |at: &usize| {
            intervals.get(at / 10).filter(|_| at.is_multiple_of(10)).map(|one| one.label.clone()).unwrap_or_default()
        };
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(count.min(6))
            .y_labels(most.min(5) + 1)
            .x_label_formatter(&label)
            .label_style(FONT.into_font().color(&INK))
            .axis_style(INK)
            .draw()?;
        for (number, one) in intervals.iter().enumerate() {
            let at = number * 10;
            let bars = [(one.present, BLUE, (at + 1, at + 9)), (one.first_seen, AMBER, (at + 3, at + 7))];
            for (height, colour, (from, to)) in bars.into_iter().filter(|(height, ..)| *height > 0) {
                chart.draw_series([Rectangle::new([(from, 0), (to, height)], colour.filled())])?;
            }
        }
        Ok(())
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Failure<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

/// Draws, and gives the picture a name for those who cannot see it. `name` begins the names of its parts in the page.
fn drawn(
    name: &str,
    title: &str,
    about: &str,
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), Failure<'static>>,
) -> String {
    let mut picture = String::new();
    let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
    // Nothing but text in memory is written, so nothing can fail; half a plot beside its table would be no harm either.
    let _ = draw(&area).and_then(|()| area.present());
    drop(area);
    let (width, height) = size;
    let inside = picture.split_once('>').map_or("", |(_, inside)| inside);
    let mut whole = format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{name}-title {name}-about\"><title \
         id=\"{name}-title\">{}</title><desc id=\"{name}-about\">{}</desc>",
        Escaped(title),
        Escaped(about)
    );
    whole.push_str(inside.trim_end());
    whole
}

/// Text between tags.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '&' => out.write_str("&amp;")?,
                other => out.write_char(other)?,
            }
        }
        Ok(())
    }
}

fn legend(root: &Area<'_>, parts: &[(&str, RGBColor)], left: i32) -> Result<(), Failure<'static>> {
    let mut x = left;
    for (name, colour) in parts {
        root.draw(&Rectangle::new([(x, 6), (x + 12, 18)], colour.filled()))?;
        text(root, name, (x + 18, 12), HPos::Left)?;
        x += 110;
    }
    Ok(())
}

fn text(root: &Area<'_>, text: &str, at: (i32, i32), side: HPos) -> Result<(), Failure<'static>> {
    let style = FONT.into_font().color(&INK).pos(Pos::new(side, VPos::Center));
    root.draw_text(text, &style, at)
}

/// Pixels of a part; what there is at all has one.
fn length(count: usize, most: usize, room: i32) -> i32 {
    let room = usize::try_from(room).unwrap_or(0);
    let pixels = count.saturating_mul(room) / most;
    i32::try_from(pixels.max(usize::from(count > 0))).unwrap_or(0)
}

/// As much of a label as fits, without what could control anything.
fn shortened(label: &str) -> String {
    let label = for_terminal(label);
    if label.chars().count() <= LABEL_MAX {
        return label.into_owned();
    }
    let kept: String = label.chars().take(LABEL_MAX - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_plot_has_a_name_and_no_hostile_text() {
        let rows = [Bar { label: "<script>\u{202e}x".to_owned(), parts: vec![2, 1, 0] }];
        let plot = bars("p", "By <subnet>", "2 & 1", &rows, &VERDICTS);
        assert!(plot.starts_with("<svg viewBox=") && plot.ends_with("</svg>"), "{plot}");
        assert!(plot.contains("<title id=\"p-title\">By &lt;subnet&gt;</title><desc id=\"p-about\">2 &amp; 1</desc>"));
        assert!(plot.contains("&lt;script&gt;\\u{202e}x") && !plot.contains("<script"), "{plot}");
        assert_eq!(plot.matches("<rect").count(), 3 + 2, "three in the legend, two parts of the bar");
        assert!(!plot.contains("style="), "the policy of the page takes no style in an element");
    }

    #[test]
    fn time_has_a_bar_for_each_interval() {
        let one =
            |present, first_seen| Interval { from: String::new(), label: "11-24".to_owned(), first_seen, present };
        let plot = over_time("t", "Over time", "", &[one(1, 1), one(3, 2), one(3, 0)]);
        assert_eq!(plot.matches("<rect").count(), 2 + 5);
        assert!(plot.contains("11-24"));
        assert!(over_time("t", "Over time", "", &[]).starts_with("<svg"));
    }
}
