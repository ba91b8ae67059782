"""Self-supervised methods: a file of options for each, and the list of all."""

from twinsight.options.choices import table
from twinsight.options.methods.angular import AngularOptions
from twinsight.options.methods.arcface import ArcFaceOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.byol import ByolOptions
from twinsight.options.methods.dino import DinoOptions
from twinsight.options.methods.dinov2 import DinoV2Options
from twinsight.options.methods.distill import DistillOptions
from twinsight.options.methods.ibot import IbotOptions
from twinsight.options.methods.lejepa import LejepaOptions
from twinsight.options.methods.mae import MaeOptions
from twinsight.options.methods.moco_v3 import MocoV3Options
from twinsight.options.methods.simclr import SimclrOptions
from twinsight.options.methods.simsiam import SimSiamOptions
from twinsight.options.methods.subcenter_arcface import SubcenterArcFaceOptions
from twinsight.options.methods.supervised import SupervisedOptions
from twinsight.options.methods.swav import SwavOptions
from twinsight.options.methods.untrained import UntrainedOptions
from twinsight.options.methods.vicreg import VicregOptions

Method = (
    BarlowTwinsOptions
    | VicregOptions
    | SimclrOptions
    | MocoV3Options
    | ByolOptions
    | SimSiamOptions
    | SwavOptions
    | DinoOptions
    | MaeOptions
    | IbotOptions
    | DinoV2Options
    | LejepaOptions
    | DistillOptions
    | SupervisedOptions
    | ArcFaceOptions
    | SubcenterArcFaceOptions
    | AngularOptions
    | UntrainedOptions
)
"""Every method that is here; a new one is added to this list."""

METHODS = table(Method)
