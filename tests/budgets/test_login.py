"""Coming in: passwords, links, and from where pages are open."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from budgets import people
from budgets.models import LoginLink

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough one"


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    """Passwords take a third of a second to check, on purpose; here that would be most of the time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def test_a_link_lets_in_once():
    token = people.login_token(people.create("olga", "owner"))
    browser = Client()
    assert b"olga" in browser.get("/login/once", {"token": token}).content  # looking does not use it up
    assert browser.post("/login/once", {"token": token}).status_code == 302
    assert browser.get("/admin/").status_code == 200
    for again in (Client().post("/login/once", {"token": token}), Client().get("/login/once", {"token": token})):
        assert again.status_code == 404
    assert token not in repr(list(LoginLink.objects.values_list()))


@pytest.mark.parametrize("token", ["", "x", "x" * 5000, "\x00", "é"])
def test_links_that_nobody_made_say_nothing(token):
    assert Client().post("/login/once", {"token": token}).status_code == 404


def test_old_links_and_links_of_people_kept_out_do_not_work():
    people.create("olga", "owner")
    mara = people.create("mara", "owner")
    old = people.login_token(mara, lifetime=timedelta(seconds=-1))
    fresh = people.login_token(mara)
    people.change("mara", "owner", is_active=False)
    assert [people.redeem(token) for token in (old, fresh)] == [None, None]


def test_the_last_owner_stays():
    people.create("olga", "owner")
    with pytest.raises(people.BadPerson, match="stay an owner"):
        people.change("olga", "owner", is_active=False)


def test_wrong_passwords_are_counted_and_right_ones_refused_after_too_many():
    people.create("olga", "owner", password=PASSWORD)
    browser = Client()
    answers = [browser.post("/login", {"username": "olga", "password": "wrong"}).status_code for _ in range(8)]
    assert answers == [200] * 7 + [429]
    assert browser.post("/login", {"username": "olga", "password": PASSWORD}).status_code == 429
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")
    assert elsewhere.post("/login", {"username": "olga", "password": PASSWORD}).status_code == 302


def test_wrong_names_and_wrong_passwords_look_alike():
    people.create("olga", "owner", password=PASSWORD)
    pages = [
        Client().post("/login", {"username": name, "password": "wrong"}).content.decode() for name in ("olga", "nobody")
    ]
    assert len({re.sub(r'value="[^"]*"', "", page) for page in pages}) == 1


@pytest.mark.parametrize("path", ["/login", "/logout", "/login/once", "/admin/budgets/apikey/add/"])
def test_nothing_is_done_without_the_token_against_forged_requests(path):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(people.create("olga", "owner"), "django.contrib.auth.backends.ModelBackend")
    assert browser.post(path, {"name": "x"}).status_code == 403


def test_the_admin_asks_who_it_is_even_on_this_machine():
    assert Client().get("/admin/", follow=True).redirect_chain[-1] == ("/login?next=/admin/", 302)


def test_short_and_common_passwords_are_refused():
    for password in ("short", "password123", "0123456789"):
        with pytest.raises(people.BadPerson):
            people.create("olga", "owner", password=password)


def test_who_came_by_a_link_sets_a_password_and_changes_it_with_the_old_one():
    olga = people.create("olga", "owner")
    browser, other = Client(), Client()
    for client in (browser, other):
        client.force_login(olga, "django.contrib.auth.backends.ModelBackend")
    new = {"new_password1": PASSWORD, "new_password2": PASSWORD}
    assert b"It is set" in browser.post("/login/password", new).content
    assert browser.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302  # logged out by it
    assert Client().post("/login", {"username": "olga", "password": PASSWORD}).status_code == 302
    another = {"new_password1": PASSWORD + "2", "new_password2": PASSWORD + "2"}
    assert b"It is set" not in browser.post("/login/password", another).content
    assert b"It is set" in browser.post("/login/password", another | {"old_password": PASSWORD}).content
