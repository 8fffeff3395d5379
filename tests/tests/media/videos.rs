//! Videos, with a real ffmpeg: what they are, a poster, and an MP4 of what browsers do not play.

use std::{path::Path, process::Command, time::Duration};

use annals_tests::{Answer, Api, Server, Settings, StatusCode, eventually, ffmpeg};
use serde_json::Value;

use crate::support::{path_of, upload, video};

fn settings(program: &Path) -> Settings {
    Settings::default().variable("ANNALS_MEDIA_FFMPEG", program.to_str().expect("is text"))
}

/// Two seconds of a test picture with a tone, by the program's own words for how they are coded.
fn film(program: &Path, name: &str, coded: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    let made = Command::new(program)
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=duration=2:size=320x240:rate=10"])
        .args(["-f", "lavfi", "-i", "sine=duration=2"])
        .args(coded)
        .arg(&path)
        .output()
        .expect("ffmpeg runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(path).expect("is made")
}

/// The file once something was made of it, or could not be.
async fn worked_on(api: &Api, sent: Answer) -> Answer {
    let id = sent.expect(StatusCode::CREATED).text_at("/data/id");
    eventually("it is worked on", Duration::from_secs(120), || async {
        let answer = api.get(&format!("media/{id}")).await.expect(StatusCode::OK);
        (answer.at("/data/processing") != "pending").then_some(answer)
    })
    .await
}

fn variant(answer: &Answer, name: &str) -> Option<Value> {
    let variants = answer.at("/data/variants").as_array().cloned().unwrap_or_default();
    variants.into_iter().find(|variant| variant["name"] == name)
}

#[tokio::test]
async fn a_video_is_measured_and_gets_a_poster_and_an_mp4_where_it_is_none_that_everything_plays() {
    let test = "a_video_is_measured_and_gets_a_poster_and_an_mp4_where_it_is_none_that_everything_plays";
    let Some(program) = ffmpeg(test) else { return };
    let server = Server::start_with(settings(&program)).await;
    let api = server.api().register("Ada").await.api;
    let plain: &[&str] = &["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"];
    let old: &[&str] = &["-c:v", "mpeg4", "-c:a", "mp3"];
    for (name, media_type, coded, is_made) in [
        ("a.mp4", "video/mp4", plain, false),
        ("b.mov", "video/quicktime", plain, true),
        ("c.avi", "video/x-msvideo", old, true),
        ("d.mp4", "video/mp4", old, true),
    ] {
        let sent = upload(&api, name, media_type, &film(&program, name, coded)).await;
        let made = worked_on(&api, sent).await;
        assert_eq!(made.at("/data/processing"), "done", "{name}: {}", made.text);
        assert_eq!((made.at("/data/width"), made.at("/data/height")), (&320.into(), &240.into()), "{name}");
        let duration = made.at("/data/durationMs").as_u64().expect("is measured");
        assert!((1_900..=2_200).contains(&duration), "{name}: {duration}");
        let poster = variant(&made, "poster").expect("has a poster");
        assert_eq!((&poster["mediaType"], &poster["width"]), (&"image/jpeg".into(), &320.into()), "{name}");
        assert!(variant(&made, "thumbnail").is_some(), "{name}");
        let mp4 = variant(&made, "video");
        assert_eq!(mp4.is_some(), is_made, "{name}: {}", made.text);
        if let Some(mp4) = mp4 {
            assert_eq!(mp4["mediaType"], "video/mp4");
            let path = path_of(mp4["url"].as_str().expect("an address"));
            let read = server.api().request(annals_tests::Method::GET, &path).send().await.expect("answers");
            assert_eq!(read.headers()["content-type"], "video/mp4");
            let bytes = read.bytes().await.expect("bytes");
            assert_eq!(&bytes[4..8], b"ftyp", "{name}");
            // The index stands before the pictures: a browser begins at once.
            let at = |name: &[u8]| bytes.windows(4).position(|four| four == name);
            assert!(at(b"moov") < at(b"mdat"), "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_no_video_inside_says_so_and_stays_as_it_is() {
    let Some(program) = ffmpeg("what_is_no_video_inside_says_so_and_stays_as_it_is") else { return };
    let server = Server::start_with(settings(&program)).await;
    let api = server.api().register("Ada").await.api;
    let made = worked_on(&api, upload(&api, "a.mp4", "video/mp4", &video("nothing")).await).await;
    assert_eq!(made.at("/data/processing"), "failed");
    assert!(made.text_at("/data/processingError").starts_with("the file "), "{}", made.text);
    server.api().get(&path_of(&made.text_at("/data/url"))).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn without_ffmpeg_videos_are_kept_as_they_are() {
    let server = Server::start_with(Settings::default().variable("ANNALS_MEDIA_FFMPEG", "")).await;
    let api = server.api().register("Ada").await.api;
    let sent = upload(&api, "a.mp4", "video/mp4", &video("kept")).await.expect(StatusCode::CREATED);
    assert_eq!(sent.at("/data/processing"), "pending");
    assert_eq!(sent.at("/data/variants"), &serde_json::json!([]));
}
