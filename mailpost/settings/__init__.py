"""What mail programs are to be set to: written for people, for programs, and for the domain's DNS.

All of it follows from the listeners of the configuration (:mod:`mailpost.settings.offers`): what is not
offered is not written. Nothing here reads a file or speaks to a network; what is made is text that the
command line prints or keeps, and that a web server may serve.
"""

from mailpost.settings.autodiscover import autodiscover
from mailpost.settings.mozilla import autoconfig
from mailpost.settings.offers import Offers, Server, offers
from mailpost.settings.page import page
from mailpost.settings.zone import zone

__all__ = ["Offers", "Server", "autoconfig", "autodiscover", "offers", "page", "zone"]
