//! A disk in a file: a loop device on the mount, with a file system of its own inside.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mount_tests::grow::{edit, sow};
use mount_tests::place::{folder, on_mount_again};
use mount_tests::rng::Rng;
use mount_tests::run::{need, need_root, tool};
use mount_tests::stacked::{Stacked, kernel_has, kernel_has_loop_devices};
use mount_tests::sys::lstat;
use mount_tests::tree::{Tree, copy_outside};

#[test]
fn a_disk_in_a_file_holds_a_file_system() {
    need_root("mounts a loop device");
    need("mkfs.ext4");
    if !kernel_has("ext4") || !kernel_has_loop_devices() {
        return;
    }
    let check = |image: &Path| {
        // Without being asked to repair: clean, or the test fails.
        tool("e2fsck").args(["-f", "-n"]).arg(image).ok();
    };
    on_mount_again(
        |root, outside| {
            let image = root.join("disk");
            tool("truncate").args(["-s", "128M"]).arg(&image).ok();
            tool("mkfs.ext4").arg("-q").arg(&image).ok();
            check(&image);
            let room = |at: &Path| lstat(at).blocks() * 512;
            assert!(
                room(&image) < 32 << 20,
                "{} bytes of an empty disk",
                room(&image)
            );

            let disk = Stacked::image(&image, &outside.join("mounted"));
            let source = folder(outside, "source");
            let mut rng = Rng::new(31);
            sow(&source, &mut rng, 300);
            copy_outside(&source, &disk.join("tree"));
            edit(&disk.join("tree"), &mut rng, 200);
            let tree = Tree::of(&disk.join("tree"));
            copy_outside(&disk.join("tree"), &outside.join("expected"));
            disk.unmount();
            check(&image);

            let disk = Stacked::image(&image, &outside.join("mounted"));
            Tree::of(&disk.join("tree")).assert_equals(&tree, "the disk mounted again");
            // What is deleted inside and trimmed becomes a hole in the file.
            std::fs::write(disk.join("large"), rng.bytes(20 << 20)).unwrap();
            tool("fstrim").arg(disk.path()).ok();
            tool("sync").arg("-f").arg(disk.path()).ok();
            let full = room(&image);
            std::fs::remove_file(disk.join("large")).unwrap();
            tool("sync").arg("-f").arg(disk.path()).ok();
            tool("fstrim").arg(disk.path()).ok();
            disk.unmount();
            let freed = full.saturating_sub(room(&image));
            assert!(freed > 15 << 20, "{freed} bytes freed of {full}");
        },
        |root, outside| {
            let image = root.join("disk");
            check(&image);
            let disk = Stacked::image(&image, &outside.join("mounted"));
            let expected = Tree::of(&outside.join("expected"));
            Tree::of(&disk.join("tree"))
                .assert_equals(&expected, "the disk after mounting the pond again");
            std::fs::write(disk.join("more"), "x").unwrap();
            disk.unmount();
            check(&image);
        },
    );
}
