//! What is shown of a made-up summary, as snapshots: a change of a table is a change of text to review.

use std::fmt::Write as _;

use settings::{Compare, Presentation};

use super::{fixture::summary, *};
use crate::terminal;

/// A table in lines: its columns with their kinds, and its rows with their classes and marks.
fn lines(of: &Table) -> String {
    let mut text = format!("{}\n{}\n", of.caption, of.about);
    let columns: Vec<_> = of
        .columns
        .iter()
        .map(|one| {
            let detail = if one.detail { ", page only" } else { "" };
            format!("{} [{:?}{detail}]", one.head(), one.kind)
        })
        .collect();
    writeln!(text, "{}", columns.join(" | ")).expect("a String takes all");
    for row in &of.rows {
        let cells = row.cells.iter().map(|cell| match cell {
            None => "-".into(),
            Some(Cell::Text(text)) => text.clone(),
            Some(Cell::Bar(bar)) => format!("{:.1}..{:.1}", bar.from, bar.to),
        });
        let cells: Vec<_> = cells.collect();
        let name = row.title().replace('\n', " ");
        let detail = if row.detail { ", page only" } else { "" };
        writeln!(
            text,
            "{name} [{:?}{detail}] | {}",
            row.class,
            cells.join(" | ")
        )
        .expect("a String takes all");
    }
    text
}

#[test]
fn every_table_is_as_it_was_reviewed() {
    let view = View::of(&summary());
    let tables = [
        &view.latency,
        &view.uncertainty,
        &view.differences,
        &view.stages,
        &view.frames,
        &view.seen,
        &view.resources,
        &view.nodes,
        &view.fabric_processes,
        &view.network,
        &view.fabrics,
        &view.wans,
    ];
    let text: Vec<_> = tables.into_iter().map(lines).collect();
    insta::assert_snapshot!("tables", text.join("\n"));
    assert!(view.ladder.is_none());
}

#[test]
fn every_sentence_is_as_it_was_reviewed() {
    let view = View::of(&summary());
    let notes = view.notes.iter();
    let notes: Vec<_> = notes
        .map(|one| format!("{}: {}", one.names, one.text))
        .collect();
    let lists = [
        ("findings", &view.findings),
        ("comparisons", &view.comparisons),
        ("crossings", &view.crossings),
        ("lacked", &view.lacked),
        ("notes", &notes),
    ];
    let text: Vec<_> = lists
        .into_iter()
        .map(|(name, list)| format!("{name}\n  {}\n", list.join("\n  ")))
        .collect();
    insta::assert_snapshot!("sentences", text.join("\n"));
}

#[test]
fn a_terminal_of_160_columns_shows_it_so() {
    insta::assert_snapshot!("terminal", terminal(&summary(), Some(160)));
}

#[test]
fn a_narrow_terminal_breaks_tables_and_no_figure() {
    let summary = summary();
    let text = terminal(&summary, Some(80));
    let lines = text.lines().filter(|line| line.starts_with(['│', '┌']));
    for line in lines {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let view = View::of(&summary);
    for table in [&view.latency, &view.stages, &view.frames, &view.seen] {
        for column in table.columns.iter().filter(|one| !one.detail) {
            let head = format!(" {} ", column.head());
            assert!(text.contains(&head), "{head:?} is broken in\n{text}");
        }
    }
    assert!(text.contains(" 1.00 / 1.20 / 1.01 "), "{text}");
    let short = Table::of("c", "", "a longer head", [(Row::new("1", Class::Ours), ())])
        .number("one", |()| Some("x".repeat(30)))
        .number("two", |()| Some("y".repeat(30)))
        .build();
    let short = terminal::table(&short, Some(80));
    assert!(short.contains(&"y".repeat(30)), "{short}");
    let last = table_of(&text, "floor p99");
    assert!(last.contains("paper s5 NodePort, two sites"), "{last}");
}

/// The text from the line that has `head` to the end of its table.
fn table_of<'a>(text: &'a str, head: &str) -> &'a str {
    let (_, after) = text.split_once(head).expect("a head");
    after.split('└').next().unwrap_or(after)
}

#[test]
fn the_steps_of_a_ladder_are_compared_with_the_one_above() {
    let mut summary = summary();
    summary.presentation = Some(Presentation {
        compare: Compare::Steps,
    });
    let view = View::of(&summary);
    insta::assert_snapshot!("ladder", lines(&view.ladder.expect("steps")));
    let text = terminal(&summary, Some(100));
    assert!(text.contains("██") && !text.contains("A → B"), "{text}");
}

#[test]
fn a_terminal_shows_one_of_many_differences_for_each_scenario() {
    let mut summary = summary();
    let one = summary.differences[0].clone();
    summary.differences = (0..20)
        .map(|number| crate::summary::Difference {
            b: format!("b{}", number % 10),
            ..one.clone()
        })
        .collect();
    let table = View::of(&summary).differences;
    let shown = table.rows.iter().filter(|row| !row.detail).count();
    assert_eq!((table.rows.len(), shown), (20, 10));
    let text = terminal(&summary, Some(160));
    assert!(text.contains("10 more are in report.html"), "{text}");
    summary.differences.clear();
    assert!(!terminal(&summary, Some(160)).contains("Differences"));
}

#[test]
fn what_is_true_of_all_is_said_of_all() {
    let mut summary = summary();
    summary.scenarios.pop();
    summary.floors.clear();
    let notes = View::of(&summary).notes;
    assert_eq!(notes[0].names, "all");
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn stand_ins_are_known_by_kind_and_not_by_their_text() {
    let mut summary = summary();
    let fabric = summary.scenarios[1].fabric.as_mut().expect("clusters");
    fabric.backend = "any text".into();
    let said = View::of(&summary).lacked;
    for word in ["wireguard-go carried", "VXLAN", "no netem"] {
        assert!(
            said.iter().any(|one| one.contains(word)),
            "{word}: {said:?}"
        );
    }
    // Liqo v0.10 has VXLAN itself: nothing stands in for anything.
    let fabric = summary.scenarios[1].fabric.as_mut().expect("clusters");
    fabric.overlay = Some(result::OverlayBackend::Vxlan);
    let said = View::of(&summary).lacked;
    assert!(!said.iter().any(|one| one.contains("VXLAN")), "{said:?}");
}

/// A client that was behind is something that the machine lacked, and so it is among the limits.
#[test]
fn a_client_that_was_behind_is_among_what_was_lacked() {
    let mut summary = summary();
    let note = crate::summary::Note::new(
        crate::summary::NoteKind::Behind,
        "run 1: the client could not keep up",
    );
    summary.scenarios[0].notes.push(note);
    let said = View::of(&summary).lacked;
    assert!(said.iter().any(|one| one.contains("keep up")), "{said:?}");
}
