"""The tables of a store, and the numbered steps that lead to them.

A maildrop is a log, a view is a cursor. A ``letter`` is kept once, however many recipients it has; an
``entry`` is one recipient's copy of it, under a number of its maildrop that only grows and is never
given again. A view has let go of everything at or below its ``floor``, and of the few numbers above it
that ``exception`` lists.

The SQL is of the dialect that SQLite and PostgreSQL share; the three words that differ are filled in by
the engine: ``$key`` (a row's own number), ``$serial`` (the same, never given twice) and ``$octets``.

Steps only add. A step that has been released is never changed: a change is a new step, and an older
mailpost refuses a store with more steps than it knows.
"""

from __future__ import annotations

APPLICATION = 0x4D507374  # "MPst": what SQLite keeps as application_id
POSTMASTER = "postmaster"  # RFC 5321 §4.5.1: every office has one

EIGHT_BIT = 1
UTF8 = 2
NO_FINAL_CRLF = 4

STEPS: tuple[tuple[str, ...], ...] = (
    (
        # What is known of the store as a whole: its epoch; later also its secret, and SCRAM's count.
        "CREATE TABLE office (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        # A closed maildrop takes no letters; the sweeper empties it, then removes the row.
        """CREATE TABLE maildrop (
            maildrop $serial,
            next BIGINT NOT NULL DEFAULT 1,
            letters BIGINT NOT NULL DEFAULT 0,
            octets BIGINT NOT NULL DEFAULT 0,
            closed SMALLINT NOT NULL DEFAULT 0)""",
        """CREATE TABLE view (
            view $serial,
            maildrop BIGINT NOT NULL,
            floor BIGINT NOT NULL DEFAULT 0)""",
        "CREATE INDEX view_maildrop ON view (maildrop, floor)",
        """CREATE TABLE exception (
            view BIGINT NOT NULL,
            number BIGINT NOT NULL,
            PRIMARY KEY (view, number))""",
        """CREATE TABLE account (
            account $serial,
            name TEXT NOT NULL UNIQUE,
            password TEXT,
            maildrop BIGINT NOT NULL,
            view BIGINT NOT NULL)""",
        # reverse_path: NULL is the null reverse-path <>. parcel: the file of a body too large for a row.
        """CREATE TABLE letter (
            letter $key,
            trace TEXT NOT NULL,
            reverse_path TEXT,
            octets BIGINT NOT NULL,
            flags SMALLINT NOT NULL,
            copies BIGINT NOT NULL,
            parcel TEXT,
            digest $octets NOT NULL)""",
        "CREATE TABLE body (letter $key, octets $octets NOT NULL)",
        # octets: as collection sends it, with the postmark and a final CRLF.
        """CREATE TABLE entry (
            maildrop BIGINT NOT NULL,
            number BIGINT NOT NULL,
            letter BIGINT NOT NULL,
            octets BIGINT NOT NULL,
            arrived BIGINT NOT NULL,
            uidl TEXT,
            postmark $octets NOT NULL)""",
        # Opening a maildrop reads this index alone; uniqueness comes from the maildrop's row.
        "CREATE INDEX entry_place ON entry (maildrop, number, octets)",
        # Letters brought from elsewhere keep their old unique-id; all others cost nothing here.
        "CREATE INDEX entry_uidl ON entry (maildrop, number, uidl) WHERE uidl IS NOT NULL",
        # Which parcels are named: asked by the sweeper alone.
        "CREATE INDEX letter_parcel ON letter (parcel) WHERE parcel IS NOT NULL",
    ),
    (
        # What a login needs beside the password's hash: SCRAM's keys of it, and a secret that can be read
        # back, for APOP (RFC 1939 §7), which hardly anybody has.
        "ALTER TABLE account ADD COLUMN scram TEXT",
        "ALTER TABLE account ADD COLUMN secret TEXT",
        # A view that does not live holds no letter, as long as another one does: it has lapsed, or was never
        # opened. opened: when it last was.
        "ALTER TABLE view ADD COLUMN living SMALLINT NOT NULL DEFAULT 1",
        "ALTER TABLE view ADD COLUMN opened BIGINT",
        # digest: of the generated password, under the office's secret. seen: its last login, of any kind.
        # UNIQUE is also the index by which the devices of an account are found.
        """CREATE TABLE device (
            device $serial,
            account BIGINT NOT NULL,
            name TEXT NOT NULL,
            view BIGINT NOT NULL,
            digest $octets NOT NULL,
            scram TEXT,
            rights SMALLINT NOT NULL,
            made BIGINT NOT NULL,
            seen BIGINT,
            UNIQUE (account, name))""",
    ),
    (
        # octets as collection sends it to a peer without UTF8, where that is another form (RFC 6856 §2).
        "ALTER TABLE entry ADD COLUMN plain BIGINT",
        # Nearly no letter has another form; those without cost nothing here.
        "CREATE INDEX entry_plain ON entry (maildrop, number, plain) WHERE plain IS NOT NULL",
    ),
    (
        # What a view was given, or has let go of, and when: letters first to last of its maildrop. Runs of
        # one view do not overlap, and each names a letter that is still there.
        """CREATE TABLE fetched (
            view BIGINT NOT NULL,
            first BIGINT NOT NULL,
            last BIGINT NOT NULL,
            at BIGINT NOT NULL,
            PRIMARY KEY (view, last))""",
    ),
    (
        # Who may not come. until: NULL is for ever. guesses: the wrong logins that led to it.
        """CREATE TABLE ban (
            network TEXT PRIMARY KEY,
            until BIGINT,
            made BIGINT NOT NULL,
            reason TEXT NOT NULL,
            by_hand SMALLINT NOT NULL,
            guesses BIGINT NOT NULL)""",
    ),
    (
        # These were taken before the headers of parts were downgraded too, and by other rules: such letters
        # go out as they came, as all do that were kept before there were such sizes.
        "UPDATE entry SET plain = NULL WHERE plain IS NOT NULL",
    ),
    (
        # Domains beside the configuration's, and what is set for these and for those. ours: whether the row
        # makes it a domain of the office. accounts: whether accounts' names are addresses there.
        """CREATE TABLE domain (
            domain TEXT PRIMARY KEY,
            ours SMALLINT NOT NULL,
            accounts SMALLINT NOT NULL,
            separator TEXT NOT NULL)""",
        # A row is one target. domain: '' is every domain. local: '' is whatever nobody has there. target: an
        # address, or a name without a domain: an alias of every domain, or an account.
        """CREATE TABLE alias (
            alias $key,
            domain TEXT NOT NULL,
            local TEXT NOT NULL,
            target TEXT NOT NULL,
            UNIQUE (domain, local, target))""",
        "CREATE INDEX alias_target ON alias (target)",
    ),
    (
        # What was brought from elsewhere, under a digest of its name there: nothing comes twice.
        """CREATE TABLE brought (
            maildrop BIGINT NOT NULL,
            key $octets NOT NULL,
            PRIMARY KEY (maildrop, key))""",
        # Whether a unique-id is free: asked where letters are brought, alone.
        "CREATE INDEX entry_holder ON entry (maildrop, uidl) WHERE uidl IS NOT NULL",
    ),
    (
        # Who may not collect or hand in, by the owner's word; letters come in all the same.
        """CREATE TABLE locked (
            maildrop BIGINT PRIMARY KEY,
            since BIGINT NOT NULL,
            reason TEXT NOT NULL)""",
    ),
    (
        # Entries that have left their maildrop and can come back for some days. gone: when they left.
        """CREATE TABLE bin (
            place $key,
            maildrop BIGINT NOT NULL,
            number BIGINT NOT NULL,
            letter BIGINT NOT NULL,
            octets BIGINT NOT NULL,
            plain BIGINT,
            arrived BIGINT NOT NULL,
            uidl TEXT,
            postmark $octets NOT NULL,
            gone BIGINT NOT NULL,
            UNIQUE (maildrop, number))""",
        "CREATE INDEX bin_gone ON bin (gone)",
    ),
    (
        # quota: octets it may hold, 0: any number, NULL: as the office's configuration says. warned: of how
        # many per cent its owner was told last.
        "ALTER TABLE maildrop ADD COLUMN quota BIGINT",
        "ALTER TABLE maildrop ADD COLUMN warned SMALLINT NOT NULL DEFAULT 0",
        "CREATE INDEX maildrop_quota ON maildrop (quota) WHERE quota IS NOT NULL",
    ),
    (
        # retention: days that letters are kept, 0: for ever, NULL: as the office's configuration says.
        # collected: whether they count from when all have collected a letter.
        "ALTER TABLE maildrop ADD COLUMN retention BIGINT",
        "ALTER TABLE maildrop ADD COLUMN collected SMALLINT",
        "CREATE INDEX maildrop_retention ON maildrop (retention) WHERE retention IS NOT NULL",
    ),
    (
        # When a letter came here that had arrived elsewhere before: its days are counted from then.
        "ALTER TABLE entry ADD COLUMN brought BIGINT",
    ),
)
VERSION = len(STEPS)
