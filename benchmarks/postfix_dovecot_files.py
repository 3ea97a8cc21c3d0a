"""The configuration files of Postfix and Dovecot.

Why they are so, :mod:`benchmarks.postfix_dovecot` says.
Names in braces are filled in by :meth:`str.format`; Dovecot's own braces are doubled.
"""

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
mail_owner = postfix
myhostname = mx.example.org
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.org
virtual_mailbox_maps = texthash:{folder}/etc/recipients
virtual_transport = lmtp:unix:{folder}/lmtp
message_size_limit = 200000000
virtual_mailbox_limit = 0
mailbox_size_limit = 0

in_flow_delay = 0
default_process_limit = 400
max_use = 1000000
max_idle = 3600
initial_destination_concurrency = 20
lmtp_destination_concurrency_limit = 20
lmtp_connection_reuse_count_limit = 0

disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key}, {certificate}
smtpd_tls_loglevel = 0
smtpd_tls_received_header = no
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/sasl
smtpd_sender_login_maps = texthash:{folder}/etc/senders
smtp_tls_security_level = none
lmtp_tls_security_level = none
receive_override_options = no_address_mappings
local_header_rewrite_clients =
append_dot_mydomain = no
smtputf8_enable = no
biff = no
"""

MASTER_CF = """\
127.0.0.1:{smtp_port} inet n - n - - smtpd
127.0.0.1:{submission_port} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_sender_restrictions=reject_sender_login_mismatch
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

DOVECOT_CONF = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = pop3 lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}

disable_plaintext_auth = no
auth_mechanisms = plain
auth_username_format = %n
auth_cache_size = 16M
passdb {{
  driver = passwd-file
  args = username_format=%n {folder}/passwd
}}
userdb {{
  driver = static
  args = uid={mail_user} gid={mail_user} home={folder}/mail/%n
}}

mail_location = maildir:{folder}/mail/%n
mail_uid = {mail_user}
mail_gid = {mail_user}
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = always
mail_save_crlf = yes
maildir_very_dirty_syncs = yes
mailbox_list_index = no
pop3_no_flag_updates = yes

service auth {{
  unix_listener {folder}/sasl {{
    mode = 0666
  }}
}}
default_process_limit = {limit}
default_client_limit = {limit}
service lmtp {{
  service_count = 0
  client_limit = 10
  process_min_avail = 4
  process_limit = 10
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
service pop3-login {{
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = {limit}
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = {pop3s_port}
    ssl = yes
  }}
}}
service pop3 {{
  service_count = 0
  client_limit = {limit}
  process_min_avail = 2
  process_limit = {limit}
}}
protocol lmtp {{
  mail_location = maildir:{folder}/mail/%n:INDEX=MEMORY
}}
protocol pop3 {{
  mail_max_userip_connections = 0
}}
"""
