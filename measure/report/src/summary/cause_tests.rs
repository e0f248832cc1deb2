//! Tests of: what stands beside the figures, and why they are what they are: late stamps, faults, waits.

use std::fs::{self, File};

use timeline::{
    Point, UnixMicros,
    frames_csv::{FrameReader, FrameWriter},
};

use super::tests::{SECOND, START, summary};
use super::*;
use result::rows::{self, EventRow};
use result::{RepetitionMeta, RunFolder, write_json};

/// Stamps that are late by up to 7 ms are in the latency from the tick, and in no latency from the stamp.
#[test]
fn a_late_stamp_is_seen_from_the_tick() {
    let (before, dir) = summary();
    let folder = RunFolder::new(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let text = fs::read(at.frames_csv()).expect("there");
    let rows = FrameReader::new(text.as_slice()).expect("a header");
    let mut writer =
        FrameWriter::begin(File::create(at.frames_csv()).expect("created")).expect("header");
    for row in rows {
        let mut row = row.expect("a row");
        let late = if row.frame.is_some_and(|of| of.0 % 2 == 0) {
            7_000
        } else {
            0
        };
        let generated = row.at(Point::Generated).expect("set").0 + late;
        let decoded = row.at(Point::Decoded).expect("set").0 + late;
        row.set(Point::Generated, UnixMicros(generated));
        row.set(Point::Decoded, UnixMicros(decoded));
        writer.write(&row).expect("written");
    }
    let of = |summary: &Summary| {
        let ours = summary.scenario("ours-udp-360p25").expect("there");
        (
            ours.latency_us.expect("samples").figures.p50,
            ours.from_tick_us,
        )
    };
    let after = build(&load(&folder).expect("a result"));
    let ((p50, soon), (still, late)) = (of(&before), of(&after));
    let (soon, late) = (soon.expect("numbered"), late.expect("numbered"));
    assert_eq!((still, soon.p50, soon.late_max), (p50, p50, 0));
    assert_eq!((late.late_p99, late.late_max), (7_000, 7_000));
    assert!(late.p50 > soon.p50 + 6_000, "{late:?}");
    let reference = after.scenario("reference-360p25").expect("there");
    assert_eq!(reference.from_tick_us, None);
    // A clock that was set says nothing of ticks.
    let meta = RepetitionMeta {
        clock_step_us: -3_000_040,
        ..at.meta().expect("there")
    };
    write_json(&at.meta_json(), &meta).expect("written");
    let host = "from_us,to_us,clock_step_us,disturbed\n1,2,2999967,true\n2,3,-3000040,true\n";
    fs::write(at.host_csv(), host).expect("written");
    let set = build(&load(&folder).expect("a result"));
    let ours = set.scenario("ours-udp-360p25").expect("there");
    assert_eq!(ours.from_tick_us, None);
    let said = "the wall clock stepped by +2999967 us, -3000040 us";
    let mut notes = ours.notes.iter();
    assert!(
        notes.any(|note| note.text.contains(said)),
        "{:#?}",
        ours.notes
    );
}

/// What the scenario asked for stands beside what it cost.
#[test]
fn a_fault_on_purpose_says_what_it_cost() {
    let (_, dir) = summary();
    let folder = RunFolder::new(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let text = fs::read_to_string(at.frames_csv()).expect("there");
    let gone = |line: &&str| {
        let number = line.split(',').next().and_then(|cell| cell.parse().ok());
        number.is_some_and(|number: u32| (130..180).contains(&number))
    };
    let kept: Vec<_> = text.lines().filter(|line| !gone(line)).collect();
    fs::write(at.frames_csv(), kept.join("\n") + "\n").expect("written");
    let events = format!(
        "time_us,event,who,detail\n{},kill,gateway-b,on purpose\n{},kill,client,on purpose\n{},started,client,pid 9\n",
        START + 5 * SECOND,
        START + 9 * SECOND,
        START + 9 * SECOND,
    );
    fs::write(at.events_csv(), events).expect("written");
    let summary = build(&load(&folder).expect("a result"));
    let ours = summary.scenario("ours-udp-360p25").expect("there");
    let [gateway, client] = &ours.faults[..] else {
        panic!("{:?}", ours.faults);
    };
    assert_eq!((gateway.at_us, gateway.lost), (5 * SECOND, Some(50)));
    assert!(
        gateway
            .frozen_us
            .is_some_and(|us| us.abs_diff(2_040_000) < 1_000),
        "{gateway:?}"
    );
    assert_eq!((client.frozen_us, client.lost), (Some(0), Some(0)));
    let mut notes = ours
        .notes
        .iter()
        .filter(|note| note.kind == NoteKind::Fault);
    let said = notes.next().expect("a note").text.as_str();
    assert!(
        said.contains("after 5.00 s: kill (gateway-b): no new picture for 2.04 s"),
        "{said}"
    );
    assert!(!said.contains("150 ms"), "its reports went on: {said}");
    let said = notes.next().expect("another").text.as_str();
    assert!(
        said.contains("kill (client): no freeze near it; ")
            && said.contains("in its last 150 ms was not reported yet"),
        "{said}"
    );
    let finding = ours.finding().expect("frames were lost").text;
    assert!(finding.contains("kill (gateway-b)"), "{finding}");
}

/// Who waited in vain for the last frames says so where their loss is read.
#[test]
fn what_was_given_up_is_said() {
    let (_, dir) = summary();
    let folder = RunFolder::new(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let detail = "after 8 s frames of the measured time had not been shown: they count as lost";
    let mut events = rows::Writer::<EventRow>::create(&at.events_csv()).expect("created");
    for (event, detail) in [("started", "pid 9"), (EventRow::GAVE_UP, detail)] {
        let row = EventRow {
            time_us: UnixMicros(START),
            event: event.to_owned(),
            who: "xrbench".to_owned(),
            detail: detail.to_owned(),
        };
        events.write(&row).expect("written");
    }
    events.flush().expect("written");
    let summary = build(&load(&folder).expect("a result"));
    let ours = summary.scenario("ours-udp-360p25").expect("there");
    let mut said = ours.notes.iter().map(|note| note.text.as_str());
    let expected = format!("run 1: the run gave up waiting for its last frames: {detail}");
    assert!(said.any(|text| text == expected), "{:#?}", ours.notes);
}

/// The wait for a frame's time is no work of the codec's.
#[test]
fn a_client_that_waits_has_no_codec_share() {
    let (before, dir) = summary();
    assert!(
        before
            .scenario("ours-udp-360p25")
            .expect("there")
            .codec_share
            .is_some()
    );
    let folder = RunFolder::new(dir.path());
    let mut info = folder.info().expect("run.json");
    info.scenario = serde_json::json!({ "scenario": [{ "name": "ours-udp-360p25", "client": { "sync": true } }] });
    write_json(&folder.run_json(), &info).expect("written");
    let summary = build(&load(&folder).expect("a result"));
    let ours = summary.scenario("ours-udp-360p25").expect("there");
    assert_eq!(ours.codec_share, None);
    assert!(
        ours.notes
            .iter()
            .any(|note| note.text.contains("client.sync"))
    );
}

/// Blocks that cannot be read are of torn pictures: shown, not lost, and no good result. OCR fails now and then.
#[test]
fn torn_pictures_are_a_finding_of_ours() {
    let (mut summary, _dir) = summary();
    for one in &mut summary.scenarios {
        one.frames.lost = 0;
        one.frames.unread = 30;
        one.undisturbed = None;
    }
    let kind = |name: &str| {
        let finding = summary.scenario(name).expect("there").finding();
        finding.map(|finding| finding.kind)
    };
    assert_eq!(kind("ours-udp-360p25"), Some(FindingKind::Unread));
    assert_eq!(kind("reference-360p25"), None);
}

/// What a full buffer of this machine cost is said of this machine: how much in the measured time, by which limit, and what to do.
#[test]
fn full_receive_buffers_of_the_host_are_said() {
    let (before, dir) = summary();
    let of = |summary: &Summary| {
        let ours = summary.scenario("ours-udp-360p25").expect("there");
        let mut notes = ours.notes.iter();
        let said = notes.find(|note| note.text.contains("on this host"));
        (ours.resources.host_udp, said.map(|note| note.text.clone()))
    };
    assert_eq!(of(&before), (None, None), "nobody counted");
    let folder = RunFolder::new(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let rows = |fabric: &str, full: fn(u64) -> u64| {
        let mut text = String::from(
            "time_us,role,pid,cpu_percent,cluster,elapsed_us,udp_in_errors,udp_rcvbuf_errors,udp_sndbuf_errors,udp_csum_errors\n",
        );
        for second in 0..=12 {
            let (at_us, full) = (START - SECOND + second * SECOND, full(second));
            for role in ["client", "xrbench"] {
                let row = format!("{at_us},{role},1,2.00,{fabric},{SECOND},{full},{full},0,0\n");
                text.push_str(&row);
            }
        }
        fs::write(at.resources_csv(), text).expect("written");
        build(&load(&folder).expect("a result"))
    };
    // 900 before anything was measured, 40 a second, and none counted twice.
    let (lost, said) = of(&rows("", |second| 70_000 + second * 40 + 900));
    assert_eq!(lost.map(|lost| lost.rcvbuf_errors), Some(400));
    let said = said.expect("a note");
    for words in ["400 datagrams", "xrbench doctor", "net.core.rmem_max"] {
        assert!(said.contains(words), "{said}");
    }
    let (lost, said) = of(&rows("", |_| 70_000));
    assert_eq!((lost.map(|lost| lost.rcvbuf_errors), said), (Some(0), None));
    // In clusters each pod has counters of its own.
    assert_eq!(of(&rows("a", |second| second)), (None, None));
}

/// Frames that a slow client dropped are the client's loss, and no network's.
#[test]
fn a_client_that_was_behind_is_said() {
    let (before, dir) = summary();
    let behind = |summary: &Summary| {
        let ours = summary.scenario("ours-udp-360p25").expect("there");
        let mut notes = ours.notes.iter();
        let said = notes.find(|note| note.kind == NoteKind::Behind);
        said.map(|note| note.text.clone())
    };
    assert_eq!(behind(&before), None);
    let at = RunFolder::new(dir.path()).repetition("ours-udp-360p25", 1);
    let meta = RepetitionMeta {
        client_behind: 37,
        ..at.meta().expect("there")
    };
    write_json(&at.meta_json(), &meta).expect("written");
    let summary = build(&load(&RunFolder::new(dir.path())).expect("a result"));
    let said = behind(&summary).expect("a note");
    for words in [
        "37 frames",
        "could not keep up",
        "client.decoder_threads",
        "another machine",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

/// What the renderer leaves out of a damaged film the reference may show.
#[test]
fn a_film_that_was_not_read_whole_is_said() {
    let (_, dir) = summary();
    let folder = RunFolder::new(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let said = |source_unread: u64| {
        let meta = RepetitionMeta {
            source_unread,
            ..at.meta().expect("there")
        };
        write_json(&at.meta_json(), &meta).expect("written");
        let summary = build(&load(&folder).expect("a result"));
        let ours = summary.scenario("ours-udp-360p25").expect("there");
        let mut notes = ours
            .notes
            .iter()
            .filter(|note| note.kind == NoteKind::Content);
        notes.find_map(|note| {
            note.text
                .contains("could not read")
                .then(|| note.text.clone())
        })
    };
    assert_eq!(said(0), None);
    let text = said(30).expect("a note");
    assert!(text.contains("30 pictures of the film or more"), "{text}");
}
