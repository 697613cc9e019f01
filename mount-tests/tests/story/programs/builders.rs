//! Builders: they trust modification times, lock their output, and run what they have just written.

use mount_tests::place::{file, folder, on_mount};
use mount_tests::run::{Run, need, shell, tool};

#[test]
fn cargo_builds_a_crate_and_then_has_nothing_to_do() {
    need("cargo");
    on_mount(|root, _| {
        let manifest =
            "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
        file(root, "Cargo.toml", manifest);
        let source = folder(root, "src");
        file(
            &source,
            "lib.rs",
            "pub fn word() -> &'static str { \"hello\" }\n",
        );
        file(
            &source,
            "main.rs",
            "fn main() { println!(\"{}\", hello::word()) }\n",
        );
        let script = root.join("target/debug/hello");
        // What cargo says that it has done, and then what the program says.
        let build = || {
            let said = cargo(&["build", "--offline", "--verbose"], root).ok().err();
            (said, Run::new(&script).ok().text())
        };
        let (said, word) = build();
        assert!(said.contains("Compiling hello"), "{said}");
        assert_eq!(word, "hello\n");
        let (said, _) = build();
        assert!(
            said.contains("Fresh hello") && !said.contains("Running"),
            "{said}"
        );
        file(
            &source,
            "lib.rs",
            "pub fn word() -> &'static str { \"changed\" }\n",
        );
        let (said, word) = build();
        assert!(said.contains("Dirty hello"), "{said}");
        assert_eq!(word, "changed\n");
        let (said, _) = build();
        assert!(said.contains("Fresh hello"), "{said}");
        cargo(&["clean"], root).ok();
        assert!(!root.join("target").exists(), "cargo clean leaves nothing");
    });
}

/// cargo as its user would call it, not as the cargo that runs this test does.
fn cargo(args: &[&str], root: &std::path::Path) -> Run {
    let inherited = |name: &str| name.starts_with("CARGO_") && name != "CARGO_HOME";
    let names = std::env::vars().map(|(name, _)| name);
    names
        .filter(|name| inherited(name))
        .fold(tool("cargo"), |run, name| run.without_env(&name))
        .env("CARGO_TARGET_DIR", root.join("target"))
        .args(args)
        .within(root)
}

#[test]
fn make_builds_only_what_has_changed() {
    need("cc");
    need("make");
    on_mount(|root, _| {
        let makefile = "OBJECTS := main.o one.o two.o\n\
            prog: $(OBJECTS)\n\t$(CC) -o $@ $^\n\
            %.o: %.c common.h\n\t$(CC) -c -o $@ $<\n\
            libboth.a: one.o two.o\n\t$(AR) rcs $@ $^\n\
            install: prog libboth.a\n\tinstall -D -m 755 -s prog $(DEST)/bin/prog\n\tinstall -D -m 644 libboth.a $(DEST)/lib/libboth.a\n\
            clean:\n\trm -f *.o prog libboth.a\n";
        file(root, "Makefile", makefile);
        file(root, "common.h", "int one(void);\nint two(void);\n");
        file(
            root,
            "one.c",
            "#include \"common.h\"\nint one(void) { return 1; }\n",
        );
        file(
            root,
            "two.c",
            "#include \"common.h\"\nint two(void) { return 2; }\n",
        );
        let main = "#include <stdio.h>\n#include \"common.h\"\nint main(void) { printf(\"%d\\n\", one() + two()); }\n";
        file(root, "main.c", main);
        let script = r#"
            cd "$1"; make -s -j2; test "$(./prog)" = 3; make -q; test "$(make)" = "make: 'prog' is up to date."
            echo 'int one(void) { return 10; }' > one.c; (! make -q); made=$(make)
            test "$(grep -c -- ' -c ' <<< "$made")" = 1; grep -q 'one.c' <<< "$made"; test "$(./prog)" = 12; make -q
            touch common.h; test "$(make -n | grep -c -- ' -c ')" = 3; make -s; make -q
            touch -d '1 hour ago' two.o; test "$(make -n | grep -c -- ' -c ')" = 1; make -s
            make -s install DEST="$1/usr"; test "$(usr/bin/prog)" = 12
            test "$(stat -c %a usr/bin/prog usr/lib/libboth.a | xargs)" = "755 644"; ar t usr/lib/libboth.a | xargs | grep -x 'one.o two.o' > /dev/null
            make -s clean; test "$(ls | xargs)" = "Makefile common.h main.c one.c two.c usr"
        "#;
        shell(script).arg(root).without_env("MAKEFLAGS").ok();
    });
}

#[test]
fn a_program_that_runs_is_replaced_but_not_written_to() {
    need("cc");
    on_mount(|root, _| {
        let source = "#include <unistd.h>\nint main(void) { char c; return read(0, &c, 1) == 1 && c == 'q' ? 0 : 1; }\n";
        file(root, "wait.c", source);
        let script = r#"
            cd "$1"; cc -o wait wait.c; mkfifo keys; ./wait < keys & running=$!; exec 9> keys
            until [ "$(readlink /proc/$running/exe)" = "$1/wait" ]; do sleep 0.01; done
            (! echo text 2> /dev/null > wait); cp /bin/true new; mv new wait; ./wait
            test "$(readlink /proc/$running/exe)" = "$1/wait (deleted)"; echo q >&9; wait "$running"
        "#;
        shell(script).arg(root).ok();
    });
}
