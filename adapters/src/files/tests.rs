use futures::TryStreamExt;

use super::*;

async fn read(files: &StoredFiles, key: &str, range: Option<Range<u64>>) -> Vec<u8> {
    let bytes = files.open(key, range).await.expect("is there");
    bytes.try_collect::<Vec<_>>().await.expect("reads").concat()
}

#[tokio::test]
async fn a_folder_keeps_files_small_and_large_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = StoredFiles::in_folder(&folder.path().join("files")).expect("opens");
    let source = folder.path().join("source");
    // One part, exactly one, and one with a remainder.
    for size in [0, 1, PART_BYTES, 2 * PART_BYTES + 3] {
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        std::fs::write(&source, &bytes).expect("writes");
        files.put("media/a/original.bin", &source).await.expect("takes it");
        assert!(read(&files, "media/a/original.bin", None).await == bytes, "{size} bytes");
    }
    let range = read(&files, "media/a/original.bin", Some(10..14)).await;
    assert_eq!(range, [10, 11, 12, 13]);
    let listed: Vec<_> = files.list("media").try_collect().await.expect("lists");
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].key.as_str(), listed[0].size_bytes),
        ("media/a/original.bin", 2 * PART_BYTES as u64 + 3)
    );
    let gone = files.put("media/b", &folder.path().join("nothing")).await;
    assert!(matches!(gone, Err(FilesError::Unavailable(_))));
    files.delete("media/a/original.bin").await.expect("removes");
    files.delete("media/a/original.bin").await.expect("nothing is left to remove");
    assert!(matches!(files.open("media/a/original.bin", None).await, Err(FilesError::NotFound(_))));
    assert_eq!(files.list("media").try_collect::<Vec<_>>().await.expect("lists"), []);
}
