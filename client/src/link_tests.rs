//! The link's rules, with time as a plain number.

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn link(choice: Choice) -> Link {
    Link::new(choice.transports("rtsp").unwrap(), Policy::default())
}

#[test]
fn transports_are_tried_in_a_circle() {
    let list = [Transport::Udp, Transport::Tcp];
    assert_eq!(next(Transport::Udp, &list), Transport::Tcp);
    assert_eq!(next(Transport::Tcp, &list), Transport::Udp);
    assert_eq!(next(Transport::Udp, &list[..1]), Transport::Udp);
}

#[test]
fn nothing_of_a_stream_over_tls_goes_over_udp() {
    for choice in [Choice::Auto, Choice::Tcp] {
        assert_eq!(choice.transports(RTSPS_SCHEME), Some(&[Transport::Tcp][..]));
    }
    for choice in [Choice::Udp, Choice::QuicDatagram, Choice::QuicStream] {
        assert_eq!(choice.transports(RTSPS_SCHEME), None);
    }
}

#[test]
fn the_first_session_opens_at_once() {
    assert_eq!(
        link(Choice::Udp).poll(ms(0)),
        Some(Action::Open(Transport::Udp))
    );
    assert_eq!(
        link(Choice::Tcp).poll(ms(0)),
        Some(Action::Open(Transport::Tcp))
    );
    assert_eq!(
        link(Choice::Auto).poll(ms(0)),
        Some(Action::Open(Transport::Udp))
    );
}

/// Nothing is heard of a packet before the buffer lets it go.
#[test]
fn a_jitter_buffer_of_any_length_is_waited_for() {
    for choice in [Choice::Udp, Choice::Tcp, Choice::Auto] {
        for buffer_ms in [0, 1_500, 4_500, 9_000] {
            let transports = choice.transports("rtsp").unwrap();
            let mut link = Link::new(transports, Policy::behind(ms(buffer_ms)));
            assert!(matches!(link.poll(ms(0)), Some(Action::Open(_))));
            for now in (0..buffer_ms + 900).step_by(100) {
                assert_eq!(link.poll(ms(now)), None, "{buffer_ms} ms, at {now} ms");
            }
            link.packets(ms(buffer_ms + 900));
            assert_eq!(link.poll(ms(buffer_ms + 1_000)), None);
        }
    }
}

#[test]
fn failures_wait_longer_each_time_up_to_the_cap() {
    let mut link = link(Choice::Udp);
    let mut now = ms(0);
    let mut waits: Vec<u128> = Vec::new();
    for _ in 0..6 {
        assert_eq!(link.poll(now), Some(Action::Open(Transport::Udp)));
        link.failed(now);
        let begin = now.as_millis();
        while link.poll(now + ms(1)).is_none() {
            now += ms(1);
        }
        link.failed(now);
        waits.push((now + ms(1)).as_millis() - begin);
        now += ms(2_000);
    }
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
    assert_eq!(waits[0], 50);
    assert_eq!(waits[5], 500);
}

#[test]
fn a_refusal_for_good_is_not_asked_for_again_at_once() {
    let mut link = link(Choice::Auto);
    link.poll(ms(0));
    link.refused_for_good(ms(10));
    assert_eq!(link.poll(ms(30_009)), None);
    assert_eq!(
        link.poll(ms(30_010)),
        Some(Action::Open(Transport::Udp)),
        "it says nothing of the transport"
    );
}

#[test]
fn a_packet_makes_the_next_failure_a_first_one() {
    let mut link = link(Choice::Udp);
    link.poll(ms(0));
    link.failed(ms(0));
    link.poll(ms(50));
    link.failed(ms(50));
    assert_eq!(link.poll(ms(149)), None);
    assert_eq!(link.poll(ms(150)), Some(Action::Open(Transport::Udp)));
    link.packets(ms(160));
    link.failed(ms(200));
    assert_eq!(link.poll(ms(249)), None);
    assert_eq!(link.poll(ms(250)), Some(Action::Open(Transport::Udp)));
}

#[test]
fn silence_asks_for_a_probe_and_a_dead_server_is_left_at_once() {
    let mut link = link(Choice::Udp);
    link.poll(ms(0));
    link.packets(ms(5_000));
    assert_eq!(link.poll(ms(5_999)), None);
    assert_eq!(link.poll(ms(6_000)), Some(Action::Probe));
    assert_eq!(link.poll(ms(6_001)), None, "one probe at a time");
    assert_eq!(link.probed(ms(6_010), false), Some(Action::Close));
    assert_eq!(link.poll(ms(6_060)), Some(Action::Open(Transport::Udp)));
}

#[test]
fn a_living_server_whose_feed_is_gone_keeps_the_session() {
    let mut link = link(Choice::Udp);
    link.poll(ms(0));
    link.packets(ms(1_000));
    for second in 2..5 {
        assert_eq!(link.poll(ms(second * 1_000)), Some(Action::Probe));
        assert_eq!(link.probed(ms(second * 1_000 + 5), true), None);
    }
    link.packets(ms(4_900));
    assert_eq!(link.poll(ms(5_899)), None, "packets are life");
}

#[test]
fn a_session_that_stays_silent_is_replaced_less_and_less_often() {
    let mut link = link(Choice::Udp);
    link.poll(ms(0));
    link.packets(ms(1));
    let mut opens = Vec::new();
    for now in (0..120_000).step_by(10).map(ms) {
        match link.poll(now) {
            Some(Action::Open(_)) => opens.push(now),
            Some(Action::Probe) => assert_eq!(link.probed(now, true), None),
            _ => {}
        }
    }
    let gaps: Vec<_> = opens
        .windows(2)
        .map(|pair| pair[1].abs_diff(pair[0]))
        .collect();
    assert_eq!(opens[0], ms(4_010));
    assert_eq!(&gaps[..3], &[ms(8_000), ms(16_000), ms(30_000)]);
}

#[test]
fn packets_during_a_probe_overrule_it() {
    let mut link = link(Choice::Udp);
    link.poll(ms(0));
    link.packets(ms(100));
    assert_eq!(link.poll(ms(1_100)), Some(Action::Probe));
    link.packets(ms(1_500));
    assert_eq!(link.probed(ms(1_600), false), None);
}

#[test]
fn auto_goes_to_tcp_quickly_and_stays_with_what_works() {
    let mut link = link(Choice::Auto);
    assert_eq!(link.poll(ms(0)), Some(Action::Open(Transport::Udp)));
    assert_eq!(link.poll(ms(999)), None);
    assert_eq!(link.poll(ms(1_000)), Some(Action::Open(Transport::Tcp)));
    link.packets(ms(1_100));
    link.failed(ms(9_000));
    assert_eq!(link.poll(ms(9_050)), Some(Action::Open(Transport::Tcp)));
    assert_eq!(link.transport(), Transport::Tcp);
}

#[test]
fn auto_waits_longer_each_time_while_neither_transport_brings_a_packet() {
    let mut link = link(Choice::Auto);
    let mut opens = Vec::new();
    for now in (0..20_000).step_by(10).map(ms) {
        match link.poll(now) {
            Some(Action::Open(transport)) => opens.push((now, transport)),
            Some(Action::Probe) => assert_eq!(link.probed(now, true), None),
            _ => {}
        }
    }
    let expected = [
        (ms(0), Transport::Udp),
        (ms(1_000), Transport::Tcp),
        (ms(3_000), Transport::Udp),
        (ms(7_000), Transport::Tcp),
        (ms(15_000), Transport::Udp),
    ];
    assert_eq!(opens, expected);
}

#[test]
fn what_comes_late_from_a_dropped_session_changes_nothing() {
    let mut link = link(Choice::Udp);
    link.poll(ms(0));
    link.failed(ms(10));
    link.failed(ms(11));
    link.packets(ms(12));
    assert_eq!(link.probed(ms(13), false), None);
    assert_eq!(link.poll(ms(60)), Some(Action::Open(Transport::Udp)));
}

#[test]
fn a_refused_transport_is_changed_only_if_that_is_allowed_and_it_never_worked() {
    let mut auto = link(Choice::Auto);
    auto.poll(ms(0));
    assert!(auto.refused(ms(10)));
    assert_eq!(auto.poll(ms(60)), Some(Action::Open(Transport::Tcp)));
    auto.packets(ms(70));
    assert!(
        !auto.refused(ms(80)),
        "it has worked: this is something else"
    );
    assert_eq!(auto.poll(ms(130)), Some(Action::Open(Transport::Tcp)));

    let mut udp = link(Choice::Udp);
    udp.poll(ms(0));
    assert!(!udp.refused(ms(10)));
    assert_eq!(udp.poll(ms(60)), Some(Action::Open(Transport::Udp)));
}

#[test]
fn a_scheme_has_its_own_transports() {
    use Transport::{QuicDatagram, QuicStream, Tcp, Udp};

    let choices = [
        (Choice::Auto, &[Udp, Tcp][..], &[QuicDatagram][..]),
        (Choice::Udp, &[Udp], &[]),
        (Choice::Tcp, &[Tcp], &[]),
        (Choice::QuicDatagram, &[], &[QuicDatagram]),
        (Choice::QuicStream, &[], &[QuicStream]),
    ];
    for (choice, rtsp, roq) in choices {
        assert_eq!(choice.transports("rtsp").unwrap_or_default(), rtsp);
        assert_eq!(choice.transports("roq").unwrap_or_default(), roq);
    }
}
