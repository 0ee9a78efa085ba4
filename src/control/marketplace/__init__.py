"""Sold through Microsoft Marketplace: subscriptions, what the marketplace tells of them, and the tenants they make."""

from control.marketplace.acts import Acts
from control.marketplace.applications import ApplicationRecord, ManagedApplications
from control.marketplace.billed import billed_subscriptions
from control.marketplace.callers import WebhookCallers
from control.marketplace.desk import Desk
from control.marketplace.landing import Landed, Landings
from control.marketplace.ledger import Ledger, Unit
from control.marketplace.metering import Metering
from control.marketplace.metering_account import Billed
from control.marketplace.metering_records import Emission, EmissionRecord, MeterRecord, Resource
from control.marketplace.metering_view import (
    DayFigures,
    HourFigures,
    MeterFigures,
    TermFigures,
    figures,
    reconciliation,
    runs_of,
)
from control.marketplace.offer import ChangeRules, Offer, OfferPlan, load_offer
from control.marketplace.port import MOST_IN_BATCH, Marketplace, MeterApi, UsageEvent
from control.marketplace.records import DeliveryRecord, LandingRecord, OpenDelivery, SubscriptionRecord
from control.marketplace.shapes import (
    AvailablePlan,
    Notice,
    Operation,
    Reported,
    Subscription,
    SubscriptionPage,
    UsageAnswer,
    UsageAnswers,
)
from control.marketplace.subscriptions import Subscriptions, Terms

__all__ = [
    "MOST_IN_BATCH",
    "Acts",
    "ApplicationRecord",
    "AvailablePlan",
    "Billed",
    "ChangeRules",
    "DayFigures",
    "DeliveryRecord",
    "Desk",
    "Emission",
    "EmissionRecord",
    "HourFigures",
    "Landed",
    "LandingRecord",
    "Landings",
    "Ledger",
    "ManagedApplications",
    "Marketplace",
    "MeterApi",
    "MeterFigures",
    "MeterRecord",
    "Metering",
    "Notice",
    "Offer",
    "OfferPlan",
    "OpenDelivery",
    "Operation",
    "Reported",
    "Resource",
    "Subscription",
    "SubscriptionPage",
    "SubscriptionRecord",
    "Subscriptions",
    "TermFigures",
    "Terms",
    "Unit",
    "UsageAnswer",
    "UsageAnswers",
    "UsageEvent",
    "WebhookCallers",
    "billed_subscriptions",
    "figures",
    "load_offer",
    "reconciliation",
    "runs_of",
]
