"""Who somebody is: names, passwords, and the way from a login to a maildrop.

::

    collection --> portal.login --> checkers (through the turnstile: passwords)
                                --> realm   --> IMaildrop, or through mailbox an existing IMailbox

All of it is ``twisted.cred``: another Portal, another Realm or any checker plugin fits in.
"""
