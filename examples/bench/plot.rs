//! Curves as SVG.

use std::fmt::Write as _;

/// A curve: its name, and its points.
pub(crate) struct Curve<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: Vec<(f64, f64)>,
}

const COLOURS: [&str; 4] = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e6bbf"];
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 56.0;

/// Draws `curves` with both axes from zero.
pub(crate) fn svg(title: &str, across: &str, up: &str, curves: &[Curve<'_>]) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let most_x = points().map(|point| point.0).fold(1e-9, f64::max);
    let most_y = points().map(|point| point.1).fold(1e-9, f64::max) * 1.1;
    let x = |value: f64| MARGIN + value / most_x * (WIDTH - 1.5 * MARGIN);
    let y = |value: f64| HEIGHT - MARGIN - value / most_y * (HEIGHT - 2.0 * MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{}\" y=\"24\" text-anchor=\"middle\" font-size=\"14\">{title}</text>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{across}</text>\n\
         <text x=\"16\" y=\"{}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {})\">{up}</text>\n",
        WIDTH / 2.0,
        WIDTH / 2.0,
        HEIGHT - 12.0,
        HEIGHT / 2.0,
        HEIGHT / 2.0,
    );
    for step in 0..=4 {
        let (value_x, value_y) = (most_x * f64::from(step) / 4.0, most_y * f64::from(step) / 4.0);
        let _ = writeln!(
            text,
            "<line x1=\"{MARGIN}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value_y:.2}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value_x:.0}</text>",
            x(most_x),
            y(value_y),
            y(value_y),
            MARGIN - 6.0,
            y(value_y) + 4.0,
            x(value_x),
            HEIGHT - MARGIN + 18.0,
        );
    }
    for (number, (curve, colour)) in curves.iter().zip(COLOURS).enumerate() {
        let line: String = curve
            .points
            .iter()
            .map(|point| format!("{:.1},{:.1} ", x(point.0), y(point.1)))
            .collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"{colour}\">{}</text>",
            line.trim_end(),
            MARGIN + 12.0,
            46 + 16 * number,
            curve.name,
        );
        for point in &curve.points {
            let _ = writeln!(
                text,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                x(point.0),
                y(point.1)
            );
        }
    }
    text + "</svg>\n"
}
