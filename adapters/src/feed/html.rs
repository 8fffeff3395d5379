//! Plain text as HTML that shows it the way it was written.

use std::fmt::Write;

use crate::social::links::web_links;

/// Paragraphs at blank lines, breaks at line ends, web addresses as links; all else escaped.
pub(super) fn html(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut paragraph: Vec<&str> = Vec::new();
    for line in text.split('\n').chain([""]) {
        if !line.trim().is_empty() {
            paragraph.push(line);
        } else if !paragraph.is_empty() {
            let lines: Vec<_> = paragraph.drain(..).map(linked).collect();
            out.push_str("<p>");
            out.push_str(&lines.join("<br/>"));
            out.push_str("</p>");
        }
    }
    out
}

fn linked(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut written = 0;
    for link in web_links(line) {
        escape_into(&mut out, &line[written..link.start]);
        let mut address = String::new();
        escape_into(&mut address, &line[link.clone()]);
        // Writing to a String does not fail.
        write!(out, "<a href=\"{address}\">{address}</a>").unwrap_or_default();
        written = link.end;
    }
    escape_into(&mut out, &line[written..]);
    out
}

fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}
