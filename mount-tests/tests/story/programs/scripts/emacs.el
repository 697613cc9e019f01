;; Adds a line to the file `note` that is being visited, and saves it. Emacs must find its lock file while the
;; change is not saved, its automatic copy when it makes one, and neither of them afterwards.
(progn
  ;; By default there are no backups below the temporary directory, where this runs, nor in batch mode.
  (setq backup-enable-predicate (lambda (_) t) backup-inhibited nil create-lockfiles t)
  (goto-char (point-max))
  (insert "three\n")
  (or (file-symlink-p ".#note") (error "There is no lock file"))
  (auto-save-mode 1)
  (do-auto-save)
  (or (file-exists-p "#note#") (error "There is no automatic copy"))
  (save-buffer)
  (and (file-symlink-p ".#note") (error "The lock file stays"))
  (and (file-exists-p "#note#") (error "The automatic copy stays"))
  (or (verify-visited-file-modtime) (error "Somebody else seems to have changed it")))
