"""How fast mailpost is, how much it costs, and beside what: ``python -m benchmarks``.

mailpost is measured as it ships: durable, logging, one worker unless ``--workers`` says
otherwise. Where Postfix and Dovecot are
installed they run in the same call, in turn with mailpost, configured by the benchmark in a
temporary folder (:mod:`benchmarks.postfix_dovecot` says how they are tuned); the table shows
medians, ratios, and the processor time of the servers, which is steadier than time.

With TLS all systems show the same certificate (ECDSA on P-256, made by the run), and the client
allows one version, one cipher suite and one group (TLS 1.3, AES-256-GCM, X25519), so that each
spends on the same handshake.

A number is shown only if it was measured: every reply is checked by the load programs, the letters
in the maildrop are counted after each run, and what fails is named with its reason.

=======================  ==============================================================
``__main__``             the command line
``runner``               rows by systems by rounds
``rows``                 the rows of the table and their targets
``row``                  what a row is
``intake_rows``          letters in: rates, latency of the 250; with STARTTLS and a login too
``collection_rows``      letters out: sessions, RETR, large maildrops, idle sessions; with TLS too
``scale_rows``           what must not grow with the office
``groups``               those groups of rows that have systems of their own
``workers_rows``         two workers beside one
``slow_disk``            what a slow sync does; ``slowdisk.c`` is preloaded for it
``growth``               letters and RCPT in a store that grows
``long_run``             half an hour at half load; ``watching`` looks at the office meanwhile
``trends``               whether a quantity is flat; ``long_report`` says it of all
``hostile``              what the honest notice while others attack; ``hostile_report`` draws it
``hostile.c``            the attackers
``honest``               the honest
``systems``              what a system under test is; starting and stopping it
``mailpost_system``      mailpost, with ``mailpost_users``
``scale``                mailpost with much in it and with little; ``mailpost_crowd`` fills it
``postfix_dovecot``      Postfix and Dovecot, with ``postfix_dovecot_files``
``keeper``               a server's parent, which no exited process escapes
``processes``            processor time and memory of a family of processes
``load``                 running the load programs, compiling those in C
``pop3load.c``           POP3 load
``smtpload.c``           SMTP load at a given pace, for latency, and with STARTTLS and AUTH; rates
                         in the clear, and over LMTP, use ``smtp-source``
``load.h, load_tls.h``   what both share
``maildrop``             counting and emptying a maildrop
``figures``              medians and ratios
``report``, ``machine``  the table, the JSON, the line about the machine
``plots``                pictures: ``plots_rows`` of the table, ``plots_course`` of growth and of a
                         long run, on one ``canvas``
``progress``             how far it is
=======================  ==============================================================
"""
