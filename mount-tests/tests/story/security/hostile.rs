//! Hostile ponds: each case is made by `forge.py` from a healthy pond, with right checksums.

use std::fs;

use mount_tests::run::shell;
use mount_tests::sys::refused;
use rustix::io::Errno;

use super::forged::forge;

fn refuse(cases: &[&'static str]) {
    for forged in forge(cases) {
        forged.must_be_refused();
    }
}

fn serve(cases: &[(&'static str, &str)]) {
    let names: Vec<_> = cases.iter().map(|(case, _)| *case).collect();
    for (forged, (_, fails)) in forge(&names).into_iter().zip(cases) {
        forged.serves(fails, |_| {});
    }
}

#[test]
fn names_that_no_directory_can_hold_are_refused() {
    refuse(&[
        "name_slash",
        "name_nul",
        "name_dot",
        "name_dots",
        "name_empty",
        "name_long",
        "name_escape",
    ]);
}

#[test]
fn names_that_mean_versions_still_do() {
    for forged in forge(&["name_version", "name_ends_version"]) {
        forged.serves("", |mount| {
            let versions = fs::read_dir(mount.join("@version")).unwrap();
            assert!(versions.count() >= 3);
        });
    }
}

#[test]
fn a_tree_that_is_none_is_served_where_it_is_sound() {
    serve(&[
        ("missing_node", "stat odd\ncat odd"),
        ("other_kind", "stat odd\nls odd/"),
        ("linked_directory", "mv dir odd/z"),
        ("two_parents", "rmdir odd"),
        ("cycle", "stat dir/sub/odd\nls dir/sub/odd/sub/odd"),
        ("own_child", "stat dir/sub/odd/odd"),
        ("child_is_root", "stat dir/odd\nls dir/odd/dir/odd"),
    ]);
}

#[test]
fn a_node_that_contradicts_itself_is_served_as_far_as_it_goes() {
    serve(&[
        ("no_parent", ""),
        ("entries_of_a_file", "stat small/odd"),
        ("no_links", "touch dir/new"),
        ("most_links", "ln small again\nmkdir dir/new"),
        ("device", "cat odd"),
        ("target_none", "cat odd"),
        ("time_least", ""),
        ("size_most", "echo x >> odd"),
    ]);
}

#[test]
fn without_a_root_directory_nothing_is_mounted() {
    for forged in forge(&["root_is_file", "root_is_gone"]) {
        forged
            .pond
            .run(["check"])
            .arg(forged.pond.store())
            .outcome()
            .exits(4);
        forged.pond.try_mount(&[]).fails().says(&["error:"]);
    }
}

#[test]
fn extents_that_no_file_can_have_are_refused() {
    refuse(&[
        "no_length",
        "inline_none",
        "inline_long",
        "inline_differs",
        "both_kinds",
        "skip_beyond",
        "stored_long",
        "length_long",
        "offset_end",
        "offset_sign",
    ]);
}

#[test]
fn bytes_that_are_not_there_are_an_error() {
    let cases = [
        "other_hash",
        "no_segment",
        "last_segment",
        "segment_end",
        "segment_sign",
    ];
    for forged in forge(&cases) {
        forged.serves("", |mount| {
            refused(fs::read(mount.join("large")), Errno::IO);
            // The version before it is as it was.
            let before = fs::read(mount.version(1).join("large")).unwrap();
            assert_eq!(before, vec![7; 20_000]);
        });
    }
}

#[test]
fn extents_that_overlap_or_are_miscounted_do_no_harm() {
    serve(&[
        ("overlapping", ""),
        ("beyond_file", ""),
        ("claims_nothing", ""),
        ("claims_more", ""),
    ]);
}

#[test]
fn numbers_beyond_their_range_are_refused() {
    refuse(&[
        "id_zero",
        "id_derived",
        "child_zero",
        "child_derived",
        "content_zero",
        "content_huge",
        "parent_huge",
        "size_sign",
        "size_all",
        "allocated_more",
        "mode_wide",
        "time_wide",
        "kind_unknown",
        "target_nul",
        "target_long",
    ]);
}

#[test]
fn rows_that_contradict_their_payload_are_refused() {
    refuse(&[
        "twice",
        "other_version",
        "other_part",
        "count_many",
        "count_none",
        "owner_negative",
        "type_wrong",
        "type_newer",
    ]);
}

#[test]
fn payloads_that_claim_more_than_they_have_are_refused() {
    refuse(&[
        "ipc_body",
        "ipc_length",
        "ipc_negative",
        "ipc_nothing",
        "ipc_junk",
        "ipc_compressed",
        "ipc_compressed_tib",
        "nulls_many",
    ]);
}

#[test]
fn payloads_of_other_columns_are_refused() {
    refuse(&[
        "column_missing",
        "column_unknown",
        "column_type",
        "column_large",
        "column_view",
        "column_dictionary",
        "column_nested",
        "column_twice",
    ]);
}

#[test]
fn parquet_that_unfolds_without_end_is_refused() {
    // What was made by hand and is not odd is taken: so the others are refused for what is odd in them.
    for forged in forge(&["by_hand_whole"]) {
        forged.must_be_done_without();
    }
    refuse(&[
        "page_bomb",
        "page_bombs",
        "page_liar",
        "page_brim",
        "page_other_column",
        "gzip_bomb",
        "dictionary_bomb",
        "prefix_bomb",
    ]);
}

#[test]
fn parquet_that_describes_what_is_not_there_is_refused() {
    refuse(&[
        "rows_many",
        "page_outside",
        "page_endless",
        "footer_list",
        "footer_deep",
        "footer_long",
        "footer_negative",
        "index_list",
        "index_elsewhere",
        "not_parquet",
    ]);
}

#[test]
fn a_checkpoint_of_either_kind_is_done_without() {
    for forged in forge(&["checkpoint_bomb", "checkpoint_list"]) {
        forged.must_be_done_without();
    }
}

#[test]
fn a_log_of_any_length_and_depth_takes_little_memory() {
    for forged in forge(&[
        "commit_sparse",
        "commit_deep",
        "commit_wide",
        "hint_sparse",
        "hint_deep",
        "hint_beyond",
    ]) {
        forged.must_be_done_without();
    }
    refuse(&["crc_sparse", "identity_sparse"]);
}

#[test]
fn paths_of_data_files_do_not_lead_out() {
    refuse(&[
        "path_dots",
        "path_dots_inside",
        "path_absolute",
        "path_url",
        "path_encoded",
        "path_encoded_slash",
        "path_nul",
        "path_empty",
        "path_network",
    ]);
    for forged in forge(&["path_encoded_absolute", "path_encoded_twice"]) {
        forged.must_be_done_without();
    }
}

#[test]
fn links_planted_in_a_pond_are_not_followed() {
    refuse(&[
        "link_segment",
        "link_segments",
        "link_oplog",
        "link_log",
        "link_part",
        "link_staging",
        "link_hint",
        "link_index",
        "link_journal",
        "link_cache",
        "link_lock",
        "link_control",
        "link_identity",
        "link_data_file",
    ]);
}

#[test]
fn pipes_planted_in_a_pond_hold_nobody_up() {
    refuse(&[
        "pipe_lock",
        "pipe_hint",
        "pipe_segment",
        "pipe_data_file",
        "segment_last",
    ]);
    // And commands that only ask who has the pond.
    for forged in forge(&["pipe_lock"]) {
        for command in ["status", "sync", "log"] {
            let run = forged.pond.run([command]).arg(forged.pond.store());
            run.outcome().fails().says(&["pipe"]);
        }
        shell("timeout 20 \"$1\" umount \"$2\" || test $? != 124")
            .arg(forged.pond.binary())
            .arg(forged.pond.store())
            .ok();
    }
}
