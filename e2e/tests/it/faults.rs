//! What is done on purpose during a run, on the host and in labs: it passes, and it is seen.

use e2e::Sandbox;
use timeline::frames_csv::{FrameRow, Outcome};
use timeline::{Point, UnixMicros};

use crate::labs::{behind, events, measure, scenario, summary};
use crate::run::json;

/// Frames a second of every scenario here.
const FPS: u64 = 30;

/// From a kill to the next picture: the program starts, the others find it again, and the encoder's next key frame comes.
/// Each takes a second at most, and three times that on a machine that is busy with other tests.
const RECOVERY_SECONDS: u64 = 9;

/// When `what` happened to `who`, from `events.csv`.
fn time_of(sandbox: &Sandbox, name: &str, what: &str, who: &str) -> UnixMicros {
    let events = events(sandbox, name);
    let line = events
        .lines()
        .find(|line| line.contains(&format!(",{what},{who},")))
        .unwrap_or_else(|| panic!("no {what} of {who}:\n{events}"));
    let time = line.split(',').next().and_then(|time| time.parse().ok());
    UnixMicros(time.unwrap_or_else(|| panic!("no time in {line}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_on_the_host_comes_back_where_the_others_know_it() {
    let sandbox = Sandbox::shared();
    let roles = ["renderer", "streamer", "client"];
    let killed_at = 1;
    let duration = killed_at + RECOVERY_SECONDS + 4;
    let file: String = roles
        .iter()
        .map(|role| {
            format!(
                "[[scenario]]\nname = \"{role}\"\nduration = \"{duration}s\"\n\
                 fault = [{{ at = \"{killed_at}s\", what = \"kill\", who = \"{role}\" }}]\n"
            )
        })
        .collect();
    measure(&sandbox, &file, &[]).await.well();
    for role in roles {
        let log = events(&sandbox, role);
        let killed = time_of(&sandbox, role, "kill", role);
        let meta = json(&sandbox.path(&format!("out/{role}/run-1/meta.json")));
        let end = UnixMicros(meta["measured_to_us"].as_u64().expect("it was measured"));
        let recovered = UnixMicros(killed.0 + RECOVERY_SECONDS * 1_000_000);
        let rows = e2e::rows(&sandbox.path(&format!("out/{role}/run-1/frames.csv")));
        let made: Vec<&FrameRow> = rows
            .iter()
            .filter(|row| {
                row.at(Point::Generated)
                    .is_some_and(|at| at >= recovered && at < end)
            })
            .collect();
        let is_shown = |row: &&FrameRow| row.outcome == Outcome::Shown;
        let after: Vec<&FrameRow> = made.iter().copied().filter(is_shown).collect();
        // All that were made once everybody is back, but for a moment at either end, and what the client let go that stood still.
        let (produced, behind) = (made.len() as u64, behind(&sandbox, role));
        assert!(
            produced > FPS && after.len() as u64 + behind + 2 >= produced,
            "{role}: {} of {produced} frames after its recovery\n{log}",
            after.len()
        );
        // Whose ring is new is followed as well as whose is old: every stage of these frames is known.
        let whole = after.iter().filter(|row| row.has_every_point()).count();
        assert_eq!(whole, after.len(), "{role}\n{log}");
        let restarted = log.contains(&format!(",service restarted,{role},"));
        assert_eq!(restarted, role != "client", "{role}\n{log}");
        assert!(!log.contains("trace lost"), "{role}\n{log}");
        assert_eq!(meta["trace_overwritten"], 0, "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_an_outage_and_a_killed_gateway_pass_and_are_seen() {
    let sandbox = Sandbox::new();
    let file = "[[scenario]]\nname = \"loss\"\nfabric = \"liqo\"\ntransport = \"udp\"\nduration = \"7s\"\n\
        wan = { preset = \"local\", b_to_a = { loss_percent = 1 } }\n\
        [[scenario]]\nname = \"outage\"\nfabric = \"liqo\"\ntransport = \"udp\"\nduration = \"5s\"\nwan = { preset = \"local\" }\n\
        fault = [{ at = \"1s\", what = \"outage\", lasts = \"200ms\" }]\n\
        [[scenario]]\nname = \"gateway\"\nfabric = \"liqo\"\ntransport = \"udp\"\nduration = \"15s\"\nwan = { preset = \"local\" }\n\
        fault = [{ at = \"1s\", what = \"kill\", who = \"gateway-a\" }]\n";
    measure(&sandbox, file, &[]).await.well();
    let summary = summary(&sandbox);
    let count = |name: &str, key: &str| {
        let frames = &scenario(&summary, name)["frames"];
        frames[key].as_u64().expect("a count")
    };
    let shown = |name: &str| count(name, "shown");
    // What the renderer made, but for what the client let go because it stood still.
    let sent = |name: &str| count(name, "generated").saturating_sub(behind(&sandbox, name));
    // A lost packet damages its picture, and those that follow are unread until the key frame that the client asks for.
    let (unread, damaged) = (count("loss", "unread"), count("loss", "damaged"));
    assert!(damaged > 0, "what is lost is seen");
    // Some ten packets are lost of a thousand, and more where key frames have many: a sixth of the frames, a quarter with bad luck. The
    // next key frame by itself comes after two seconds, so that without the others a third of the frames would be read.
    let (read, made) = (shown("loss") - unread, sent("loss"));
    assert!(
        made > 3 * FPS && read * 20 >= made * 11,
        "{read} of {made} read, {damaged} damaged, {unread} unread"
    );
    // The feed is cut too: its frames wait for TCP and come late, so that the picture stands still whether or not one is lost.
    // What was on its way for 200 ms is lost, and with bad luck a second passes until TCP sends again and a key frame comes.
    assert!(
        sent("outage") > 3 * FPS && shown("outage") + FPS / 5 + FPS >= sent("outage"),
        "the stream came back: {} of {} frames",
        shown("outage"),
        sent("outage")
    );
    let freezes = &scenario(&summary, "outage")["freezes"];
    assert!(freezes["count"].as_u64() >= Some(1), "{freezes}");
    assert!(freezes["longest_us"].as_u64() >= Some(150_000), "{freezes}");
    for word in ["outage begins", "outage ends"] {
        assert!(
            events(&sandbox, "outage").contains(word),
            "{}",
            events(&sandbox, "outage")
        );
    }
    assert!(
        events(&sandbox, "gateway").contains("kill,gateway-a"),
        "{}",
        events(&sandbox, "gateway")
    );
    assert!(
        shown("gateway") >= (15 - RECOVERY_SECONDS) * FPS,
        "the stream came back: {} frames",
        shown("gateway")
    );
}
