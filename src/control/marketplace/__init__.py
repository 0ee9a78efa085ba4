"""Sold through Microsoft Marketplace: subscriptions, what the marketplace tells of them, and the tenants they make."""

from control.marketplace.callers import WebhookCallers
from control.marketplace.desk import Desk
from control.marketplace.landing import Landed, Landings
from control.marketplace.port import Marketplace
from control.marketplace.records import DeliveryRecord, LandingRecord, OpenDelivery, SubscriptionRecord
from control.marketplace.shapes import Notice, Operation, Subscription, SubscriptionPage
from control.marketplace.subscriptions import Subscriptions, Terms

__all__ = [
    "DeliveryRecord",
    "Desk",
    "Landed",
    "LandingRecord",
    "Landings",
    "Marketplace",
    "Notice",
    "OpenDelivery",
    "Operation",
    "Subscription",
    "SubscriptionPage",
    "SubscriptionRecord",
    "Subscriptions",
    "Terms",
    "WebhookCallers",
]
