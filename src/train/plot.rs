//! The curves of runs in one picture.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, Color, DrawingArea, DrawingAreaErrorKind, IntoDrawingArea, IntoFont, PathElement, RGBColor,
    SVGBackend, TextStyle, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::metrics::{Line, Phase};
use crate::{Error, Result};

/// A run, as it is drawn.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// What the legend calls it.
    pub name: String,
    /// What it predicts, such as `cell.celltype`, where that is known.
    pub target: Option<String>,
    /// What it has written.
    pub lines: Vec<Line>,
}

// In pixels.
const WIDTH: u32 = 1000;
const TITLE: u32 = 44;
const LEGEND_ROW: u32 = 22;
const LEGEND_COLUMNS: usize = 3;
const PANEL: u32 = 230;
const PANEL_TITLE: u32 = 30;
const TICKS_BELOW: u32 = 26;
const TICKS_LEFT: u32 = 76;
const RIGHT: u32 = 24;
const FOOT: u32 = 30;

/// Okabe and Ito's colours, which people of every colour vision tell apart, less the yellow that white drowns.
///
/// Source: <https://jfly.uni-koeln.de/color/>
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// An SVG of the runs' curves, with white behind and no font in it: loss, each score of the validation, learning rate and
/// tokens a second, under one another, over the steps; what no run has written is left out. Where a run has written no steps
/// the curves are over epochs.
///
/// Loss and speed over steps are smoothed, with what they were faint behind. Where training went on from an earlier step, what
/// had been beyond that step is not drawn.
///
/// # Errors
/// When no run has written anything that can be drawn.
pub fn svg(runs: &[Drawn]) -> Result<String> {
    let has_steps = |run: &Drawn| run.lines.iter().any(|line| matches!(line, Line::Step(_)));
    let over = if runs.iter().all(has_steps) { Over::Steps } else { Over::Epochs };
    let curves: Vec<Curve> = runs.iter().flat_map(|run| curves(run, over)).collect();
    let panels = panels(&curves, over);
    let ends = panels.iter().flat_map(|panel| panel.faint.iter().chain(&panel.lines).chain(&panel.points));
    let Some(end) = ends.filter_map(|(_, points)| points.last()).map(|&(x, _)| x).reduce(f64::max) else {
        return Err(Error::Training("there is nothing to draw yet: no step and no epoch was written".to_owned()));
    };
    let targets = distinct(runs.iter().filter_map(|run| run.target.as_deref()));
    let title = if targets.is_empty() { "Training".to_owned() } else { format!("Training for {}", targets.join(", ")) };
    let mut text = String::new();
    let picture = Picture { title: plain(&title), curves: &curves, panels: &panels, over, end: end.max(1.0) };
    picture.draw(&mut text).map_err(|error| Error::Training(format!("cannot draw the curves: {error}")))?;
    Ok(text)
}

/// What is to the right.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Steps,
    Epochs,
}

/// x and y, finite, with x ascending.
type Points = Vec<(f64, f64)>;

/// What one colour stands for: a member of a run, in a phase, on a task.
#[derive(Default)]
struct Curve {
    label: String,
    losses: Points,
    validation_losses: Points,
    scores: BTreeMap<String, Points>,
    learning_rates: Points,
    speeds: Points,
}

/// The curves of a run, in the order in which they begin.
fn curves(run: &Drawn, over: Over) -> Vec<Curve> {
    let tasks = distinct(run.lines.iter().filter_map(|line| match line {
        Line::Step(step) => Some(step.task.as_str()),
        Line::Validation(validation) => Some(validation.task.as_str()),
        Line::Epoch(_) => None,
    }));
    let members = distinct(run.lines.iter().map(|line| match line {
        Line::Step(step) => step.member,
        Line::Validation(validation) => validation.member,
        Line::Epoch(epoch) => epoch.member,
    }));
    let mut keys: Vec<(Phase, u32, &str)> = Vec::new();
    let mut curves: Vec<Curve> = Vec::new();
    let mut place = |curves: &mut Vec<Curve>, phase, member, task| {
        let task = if tasks.len() > 1 { task } else { "" };
        keys.iter().position(|key| *key == (phase, member, task)).unwrap_or_else(|| {
            let mut label = format!("{}, {phase}", run.name);
            if !task.is_empty() {
                label += &format!(", {task}");
            }
            if members.len() > 1 {
                label += &format!(", member {member}");
            }
            keys.push((phase, member, task));
            curves.push(Curve { label: plain(&label), ..Curve::default() });
            curves.len() - 1
        })
    };
    for line in &run.lines {
        match line {
            Line::Step(step) if over == Over::Steps => {
                let at = place(&mut curves, step.phase, step.member, &step.task);
                let (curve, x) = (&mut curves[at], step.step as f64);
                push(&mut curve.losses, x, step.loss);
                push(&mut curve.learning_rates, x, step.learning_rate);
                push(&mut curve.speeds, x, step.tokens_per_second);
            }
            Line::Validation(validation) => {
                let at = place(&mut curves, validation.phase, validation.member, &validation.task);
                let curve = &mut curves[at];
                let x = if over == Over::Steps { validation.step as f64 } else { f64::from(validation.epoch) + 1.0 };
                push(&mut curve.validation_losses, x, validation.loss);
                for (name, &score) in &validation.scores {
                    push(curve.scores.entry(name.clone()).or_default(), x, score);
                }
            }
            Line::Epoch(epoch) if over == Over::Epochs => {
                let at = place(&mut curves, epoch.phase, epoch.member, "");
                let (curve, x) = (&mut curves[at], f64::from(epoch.epoch) + 1.0);
                push(&mut curve.losses, x, epoch.loss);
                push(&mut curve.learning_rates, x, epoch.learning_rate);
                push(&mut curve.speeds, x, epoch.tokens_per_second);
            }
            Line::Step(_) | Line::Epoch(_) => {}
        }
    }
    curves
}

/// Each once, in the order in which they first come.
fn distinct<T: PartialEq>(things: impl Iterator<Item = T>) -> Vec<T> {
    things.fold(Vec::new(), |mut known, thing| {
        if !known.contains(&thing) {
            known.push(thing);
        }
        known
    })
}

/// A text without the control characters that XML cannot hold.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn push(points: &mut Points, x: f64, y: f64) {
    while points.last().is_some_and(|&(last, _)| last >= x) {
        points.pop();
    }
    if y.is_finite() {
        points.push((x, y));
    }
}

/// One pair of axes; each set of points is of the curve of that number.
#[derive(Default)]
struct Panel {
    title: String,
    faint: Vec<(usize, Points)>,
    lines: Vec<(usize, Points)>,
    points: Vec<(usize, Points)>,
    is_from_zero: bool,
}

/// Those that have anything in them.
fn panels(curves: &[Curve], over: Over) -> Vec<Panel> {
    let of = |points: &dyn Fn(&Curve) -> Points| -> Vec<(usize, Points)> {
        curves.iter().map(points).enumerate().filter(|(_, points)| !points.is_empty()).collect()
    };
    let is_smooth = over == Over::Epochs || curves.iter().all(|curve| window(curve.losses.len()) == 1.0);
    let smoothed = |title: &str, raw: &dyn Fn(&Curve) -> &Points| Panel {
        title: format!("{title}{}", if is_smooth { "" } else { ", smoothed (faint: each step)" }),
        faint: if is_smooth { Vec::new() } else { of(&|curve| raw(curve).clone()) },
        lines: of(&|curve| if is_smooth { raw(curve).clone() } else { smooth(raw(curve)) }),
        ..Panel::default()
    };
    let mut loss = smoothed("loss", &|curve| &curve.losses);
    loss.points = of(&|curve| curve.validation_losses.clone());
    if !loss.points.is_empty() {
        loss.title += ", points: validation";
    }
    let speed = Panel { is_from_zero: true, ..smoothed("tokens a second", &|curve| &curve.speeds) };
    let rate = Panel {
        title: "learning rate".to_owned(),
        lines: of(&|curve| curve.learning_rates.clone()),
        is_from_zero: true,
        ..Panel::default()
    };
    let names: BTreeSet<&String> = curves.iter().flat_map(|curve| curve.scores.keys()).collect();
    let scores = names.into_iter().map(|name| {
        let scores = of(&|curve| curve.scores.get(name).cloned().unwrap_or_default());
        Panel { title: format!("validation: {}", plain(name)), lines: scores.clone(), points: scores, ..Panel::default() }
    });
    let all = std::iter::once(loss).chain(scores).chain([rate, speed]);
    all.filter(|panel| !(panel.lines.is_empty() && panel.points.is_empty())).collect()
}

/// Over how many points a curve of so many is smoothed: a fiftieth of them.
fn window(points: usize) -> f64 {
    (points as f64 / 50.0).max(1.0)
}

/// An exponential moving average, with the bias of its start taken out.
///
/// Source: Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>, section 3.
fn smooth(points: &Points) -> Points {
    let decay = 1.0 - 1.0 / window(points.len());
    let (mut sum, mut weight) = (0.0, 0.0);
    let average = |&(x, y): &(f64, f64)| {
        sum = decay * sum + (1.0 - decay) * y;
        weight = decay * weight + (1.0 - decay);
        (x, sum / weight)
    };
    points.iter().map(average).collect()
}

/// At most two points a column of pixels, its lowest and its highest, in their order.
fn thin(points: &Points, end: f64) -> Points {
    let columns = f64::from(WIDTH - TICKS_LEFT - RIGHT);
    if points.len() as f64 <= 2.0 * columns {
        return points.clone();
    }
    let column = |x: f64| (x / end * columns) as u64;
    let extremes = |group: &[(f64, f64)]| {
        let by_height = |one: &&(f64, f64), other: &&(f64, f64)| one.1.total_cmp(&other.1);
        let (lowest, highest) = (group.iter().min_by(by_height), group.iter().max_by(by_height));
        let mut both: Points = lowest.into_iter().chain(highest).copied().collect();
        both.sort_by(|one, other| one.0.total_cmp(&other.0));
        both.dedup();
        both
    };
    points.chunk_by(|one, other| column(one.0) == column(other.0)).flat_map(extremes).collect()
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawing = Result<(), DrawingAreaErrorKind<io::Error>>;

struct Picture<'p> {
    title: String,
    curves: &'p [Curve],
    panels: &'p [Panel],
    over: Over,
    end: f64,
}

impl Picture<'_> {
    fn draw(&self, text: &mut String) -> Drawing {
        let panels_from = TITLE + LEGEND_ROW * self.curves.len().div_ceil(LEGEND_COLUMNS) as u32;
        let foot = panels_from + PANEL * self.panels.len() as u32;
        let root = SVGBackend::with_string(text, (WIDTH, foot + FOOT)).into_drawing_area();
        root.fill(&WHITE)?;
        root.draw_text(&self.title, &font(24), (TICKS_LEFT as i32, 14))?;
        let column = (WIDTH - TICKS_LEFT - RIGHT) as usize / LEGEND_COLUMNS;
        for (at, curve) in self.curves.iter().enumerate() {
            let x = TICKS_LEFT as i32 + (at % LEGEND_COLUMNS * column) as i32;
            let y = (TITLE + LEGEND_ROW * (at / LEGEND_COLUMNS) as u32) as i32;
            root.draw(&PathElement::new(vec![(x, y + 8), (x + 22, y + 8)], colour(at).stroke_width(3)))?;
            root.draw_text(&curve.label, &font(16), (x + 30, y + 1))?;
        }
        for (at, panel) in self.panels.iter().enumerate() {
            let top = panels_from + PANEL * at as u32;
            panel.draw(&root.clone().shrink((0, top as i32), (WIDTH, PANEL)), self.end)?;
        }
        let over = if self.over == Over::Steps { "step" } else { "epoch" };
        let middle = ((TICKS_LEFT + WIDTH - RIGHT) / 2) as i32;
        root.draw_text(over, &font(16).pos(Pos::new(HPos::Center, VPos::Top)), (middle, foot as i32 + 4))?;
        root.present()
    }
}

impl Panel {
    fn draw(&self, area: &Area<'_>, end: f64) -> Drawing {
        let range = self.range();
        area.draw_text(&self.title, &font(16), (TICKS_LEFT as i32, 10))?;
        let mut chart = ChartBuilder::on(area)
            .margin_top(PANEL_TITLE)
            .margin_right(RIGHT)
            .x_label_area_size(TICKS_BELOW)
            .y_label_area_size(TICKS_LEFT)
            .build_cartesian_2d(0.0..end, range.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(BLACK.mix(0.12))
            .light_line_style(BLACK.mix(0.0))
            .axis_style(BLACK.mix(0.5))
            .x_labels(10)
            .y_labels(5)
            .x_label_formatter(&|x| tick(*x, end))
            .y_label_formatter(&|y| tick(*y, range.end - range.start))
            .label_style(("sans-serif", 15))
            .draw()?;
        let within = |points: &Points| -> Points {
            thin(points, end).into_iter().map(|(x, y)| (x, y.clamp(range.start, range.end))).collect()
        };
        for (curve, points) in &self.faint {
            chart.draw_series([PathElement::new(within(points), colour(*curve).mix(0.25).stroke_width(1))])?;
        }
        for (curve, points) in &self.lines {
            chart.draw_series([PathElement::new(within(points), colour(*curve).stroke_width(2))])?;
        }
        // A line of one point would not be seen.
        let alone = self.lines.iter().filter(|(_, points)| points.len() == 1);
        for (curve, points) in self.points.iter().chain(alone) {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 5, WHITE.filled())))?;
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 4, colour(*curve).filled())))?;
        }
        Ok(())
    }

    /// All of the lines and points, and of what is faint all but the outermost hundredths.
    fn range(&self) -> Range<f64> {
        let mut heights: Vec<f64> = Vec::new();
        heights.extend(self.lines.iter().chain(&self.points).flat_map(|(_, points)| points.iter().map(|&(_, y)| y)));
        for (_, points) in &self.faint {
            let mut faint: Vec<f64> = points.iter().map(|&(_, y)| y).collect();
            faint.sort_by(f64::total_cmp);
            let outer = faint.len() / 100;
            heights.extend(faint.get(outer));
            heights.extend(faint.iter().rev().nth(outer));
        }
        heights.extend(self.is_from_zero.then_some(0.0));
        let low = heights.iter().copied().fold(f64::INFINITY, f64::min);
        let high = heights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let size = low.abs().max(high.abs());
        let span = if high - low > 1e-9 * size { high - low } else { size.max(1e-6) };
        let below = if self.is_from_zero && low == 0.0 { 0.0 } else { 0.05 * span };
        low - below..high + 0.05 * span
    }
}

fn colour(curve: usize) -> RGBColor {
    COLOURS[curve % COLOURS.len()]
}

fn font(size: u32) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", size).into_font()).color(&BLACK)
}

/// The number at a tick of an axis that is so long: `0.25`, `1.5k`, `3e-5`.
fn tick(number: f64, span: f64) -> String {
    let short = |number: f64, digits: usize| {
        let text = format!("{number:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    };
    match number.abs() {
        size if size < 1e-9 * span => "0".to_owned(),
        size if size >= 1e6 => short(number / 1e6, 3) + "M",
        size if size >= 1e4 => short(number / 1e3, 3) + "k",
        size if size >= 1e-3 && span >= 5e-3 => short(number, 6),
        size => {
            let power = size.log10().floor() as i32;
            format!("{}e{power}", short(number / 10.0_f64.powi(power), 3))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::metrics::{Epoch, Step, Validation};

    fn step(step: u64, loss: f64) -> Step {
        Step {
            member: 0,
            phase: Phase::Train,
            task: "celltype".to_owned(),
            step,
            epoch: 0,
            loss,
            learning_rate: 1e-4,
            gradient_norm: 1.0,
            tokens_per_second: 20_000.0,
            waiting: 0.0,
            seconds: 0.0,
        }
    }

    fn validation(step: u64, loss: f64) -> Validation {
        let scores = BTreeMap::from([("accuracy".to_owned(), 1.0 / loss), ("r2".to_owned(), f64::NAN)]);
        let (phase, task) = (Phase::Train, "celltype".to_owned());
        Validation { member: 0, phase, task, step, epoch: 0, loss, scores, seconds: 0.0 }
    }

    fn epoch(epoch: u32, loss: f64) -> Epoch {
        let phase = Phase::Train;
        Epoch { member: 0, phase, epoch, loss, learning_rate: 1e-4, tokens_per_second: 1.0, waiting: 0.0, seconds: 0.0 }
    }

    fn run(name: &str, lines: Vec<Line>) -> Drawn {
        Drawn { name: name.to_owned(), target: Some("cell.celltype".to_owned()), lines }
    }

    fn attribute<'s>(tag: &'s str, name: &str) -> &'s str {
        let start = tag.find(&format!(" {name}=\"")).unwrap_or_else(|| panic!("no {name} in {tag}")) + name.len() + 3;
        &tag[start..start + tag[start..].find('"').unwrap()]
    }

    fn whole(tag: &str, name: &str) -> i32 {
        attribute(tag, name).parse().unwrap()
    }

    /// The tags of a name, each up to the next tag.
    fn tags<'s>(svg: &'s str, name: &str) -> Vec<&'s str> {
        svg.split('<').filter(|tag| tag.split([' ', '>']).next() == Some(name)).collect()
    }

    /// Those that are no axis and not of the legend.
    fn polylines(svg: &str) -> Vec<&str> {
        let is_curve = |tag: &&str| attribute(tag, "stroke") != "#000000" && attribute(tag, "stroke-width") != "3";
        tags(svg, "polyline").into_iter().filter(is_curve).collect()
    }

    fn texts(svg: &str) -> Vec<&str> {
        tags(svg, "text").iter().map(|tag| tag.split_once('>').unwrap().1.trim()).collect()
    }

    /// Where the first label of this text is, with this anchor.
    fn label<'s>(svg: &'s str, text: &str, anchor: &str) -> &'s str {
        let is_it = |tag: &&str| tag.split_once('>').unwrap().1.trim() == text && attribute(tag, "text-anchor") == anchor;
        tags(svg, "text").into_iter().find(is_it).unwrap_or_else(|| panic!("no {text} at {anchor} in {svg}"))
    }

    fn points(polyline: &str) -> Vec<(i32, i32)> {
        let pair = |pair: &str| {
            let (x, y) = pair.split_once(',').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        };
        attribute(polyline, "points").split_whitespace().map(pair).collect()
    }

    #[test]
    fn points_are_where_the_ticks_say() {
        let planted = [(100, 1.0), (200, 4.0), (300, 2.0), (400, 3.0)];
        let mut lines: Vec<Line> = planted.iter().map(|&(at, loss)| Line::Step(step(at, loss))).collect();
        lines.push(Line::Validation(validation(300, 2.0)));
        let svg = svg(&[run("first", lines)]).unwrap();
        let at = |x: &str, y: &str| (whole(label(&svg, x, "middle"), "x"), whole(label(&svg, y, "end"), "y"));
        let expected = [at("100", "1"), at("200", "4"), at("300", "2"), at("400", "3")];
        let loss = polylines(&svg)[0];
        assert!(
            points(loss)
                .iter()
                .zip(expected)
                .all(|(found, expected)| { (found.0 - expected.0).abs() <= 1 && (found.1 - expected.1).abs() <= 1 }),
            "{loss}: expected {expected:?}"
        );
        assert_eq!(points(loss).len(), 4);
        let circle = tags(&svg, "circle")[0];
        let distance = (whole(circle, "cx") - expected[2].0).abs().max((whole(circle, "cy") - expected[2].1).abs());
        assert!(distance <= 1, "{circle}: expected {expected:?}");
        // Four panels: of two scores one is no number.
        let titles: Vec<&str> = texts(&svg).into_iter().filter(|text| text.len() > 6).collect();
        let expected = [
            "Training for cell.celltype",
            "first, train",
            "loss, points: validation",
            "validation: accuracy",
            "learning rate",
            "tokens a second",
        ];
        assert_eq!(titles, expected);
        let ground = tags(&svg, "rect")[0];
        assert_eq!((attribute(ground, "fill"), whole(ground, "width")), ("#FFFFFF", WIDTH as i32));
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    /// By hand: of 100 points the window is 2, so a point's weight halves with each that follows.
    #[test]
    fn curves_are_smoothed_by_an_average_that_begins_at_the_first() {
        let mut raw: Points = (0..100).map(|at| (f64::from(at), 0.0)).collect();
        raw[0].1 = 1.0;
        let smoothed = smooth(&raw);
        assert!((smoothed[0].1 - 1.0).abs() < 1e-12 && (smoothed[1].1 - 1.0 / 3.0).abs() < 1e-12, "{smoothed:?}");
        assert!((smoothed[2].1 - 1.0 / 7.0).abs() < 1e-12, "{smoothed:?}");
        let flat: Points = (0..500).map(|at| (f64::from(at), 0.3)).collect();
        assert!(smooth(&flat).iter().all(|point| (point.1 - 0.3).abs() < 1e-12));
        let noisy = |at: u64| Line::Step(step(at, if at.is_multiple_of(2) { 1.0 } else { 2.0 }));
        let svg = svg(&[run("first", (1..=1000).map(noisy).collect())]).unwrap();
        let [faint, smooth] = [0, 1].map(|at| polylines(&svg)[at]);
        assert_eq!([attribute(faint, "opacity"), attribute(smooth, "opacity")], ["0.25", "1"]);
        let height = |polyline: &str| {
            let heights: Vec<i32> = points(polyline)[500..].iter().map(|point| point.1).collect();
            heights.iter().max().unwrap() - heights.iter().min().unwrap()
        };
        assert!(height(faint) > 10 * height(smooth), "{} and {}", height(faint), height(smooth));
    }

    #[test]
    fn long_curves_keep_their_extremes() {
        let mut raw: Points = (0..1_000_000).map(|at| (f64::from(at), f64::from(at % 7))).collect();
        raw[654_321].1 = 50.0;
        raw[123_456].1 = -50.0;
        let thinned = thin(&raw, 1e6);
        assert!(thinned.len() <= 2 * WIDTH as usize && thinned.is_sorted_by(|one, other| one.0 < other.0));
        assert!(thinned.contains(&(654_321.0, 50.0)) && thinned.contains(&(123_456.0, -50.0)));
    }

    #[test]
    fn resumed_training_takes_the_place_of_what_was_lost() {
        let lines = [(1, 9.0), (2, 8.0), (3, 7.0), (4, f64::NAN), (3, 6.0), (4, 5.0), (5, f64::INFINITY)];
        let lines = lines.map(|(at, loss)| Line::Step(step(at, loss))).to_vec();
        let [curve] = curves(&run("first", lines), Over::Steps).try_into().ok().unwrap();
        assert_eq!(curve.losses, [(1.0, 9.0), (2.0, 8.0), (3.0, 6.0), (4.0, 5.0)]);
        assert_eq!(curve.speeds.len(), 5);
    }

    #[test]
    fn runs_without_steps_are_drawn_over_epochs() {
        let old = run("old", vec![Line::Epoch(epoch(0, 2.0)), Line::Epoch(epoch(1, 1.0))]);
        let new = vec![Line::Step(step(10, 3.0)), Line::Validation(validation(10, 2.0)), Line::Epoch(epoch(0, 3.0))];
        let svg = svg(&[old, run("new", new.clone())]).unwrap();
        assert!(texts(&svg).contains(&"epoch"));
        let at = |x: &str, y: &str| (whole(label(&svg, x, "middle"), "x"), whole(label(&svg, y, "end"), "y"));
        assert_eq!(points(polylines(&svg)[0]), [at("1", "2"), at("2", "1")]);
        assert!(texts(&super::svg(&[run("new", new)]).unwrap()).contains(&"step"));
    }

    #[test]
    fn curves_are_told_apart_by_phase_task_and_member() {
        let of =
            |phase: Phase, task: &str, member: u32| Line::Step(Step { phase, task: task.to_owned(), member, ..step(1, 1.0) });
        let labels = |lines: Vec<Line>| -> Vec<String> {
            curves(&run("a<b & c\u{1}", lines), Over::Steps).into_iter().map(|curve| curve.label).collect()
        };
        assert_eq!(labels(vec![of(Phase::Pretrain, "x", 0)]), ["a<b & c\u{fffd}, pretrain"]);
        let found = labels(vec![
            of(Phase::Pretrain, "x", 0),
            of(Phase::Train, "x", 0),
            of(Phase::Train, "y", 1),
            of(Phase::Train, "x", 0),
        ]);
        let expected = ["pretrain, x, member 0", "train, x, member 0", "train, y, member 1"];
        assert_eq!(found, expected.map(|label| format!("a<b & c\u{fffd}, {label}")));
        let svg = svg(&[run("a<b & c", vec![of(Phase::Train, "x", 0)])]).unwrap();
        assert!(texts(&svg).contains(&"a&lt;b &amp; c, train"), "{svg}");
    }

    #[test]
    fn what_has_nothing_to_draw_is_said() {
        let empty = svg(&[run("first", vec![]), run("second", vec![Line::Epoch(epoch(0, f64::NAN))])]);
        assert!(empty.is_ok(), "its learning rate can be drawn");
        for runs in [vec![], vec![run("first", vec![])]] {
            let error = svg(&runs).unwrap_err().to_string();
            assert!(error.contains("nothing to draw yet"), "{error}");
        }
    }

    #[test]
    fn ticks_are_short() {
        let shown = [0.0, 0.1 + 0.2, -2.5, 1500.0, 12_000.0, 2_500_000.0, 0.000_25, 1e-5, -3e-7].map(|number| tick(number, 1.0));
        assert_eq!(shown, ["0", "0.3", "-2.5", "1500", "12k", "2.5M", "2.5e-4", "1e-5", "-3e-7"]);
        assert_eq!([0.0, 1e-17, 5e-4, 1e-3].map(|number| tick(number, 1e-3)), ["0", "0", "5e-4", "1e-3"]);
        // A curve that does not change has an axis all the same.
        let flat = |y: f64| Panel { lines: vec![(0, vec![(1.0, y), (2.0, y)])], ..Panel::default() }.range();
        assert_eq!([flat(0.0).contains(&0.0), flat(3.0).contains(&3.0), flat(-1e-9).contains(&-1e-9)], [true; 3]);
    }
}
