import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Net( nn.Module ):
    """Five hidden layers, drawn far too small."""

    def __init__( self ):
        super().__init__()
        widths = [ 20, 48, 48, 48, 48, 48 ]
        self.hidden = nn.ModuleList( nn.Linear( a, b ) for a, b in zip( widths, widths[ 1: ] ) )
        self.out = nn.Linear( 48, 4 )

    def forward( self, x ):
        for layer in self.hidden:
            x = torch.tanh( layer( x ) )    # functional
        return self.out( x )


def build_model():
    net = Net()
    for layer in net.hidden:
        nn.init.normal_( layer.weight, std = 0.002 )    # from an old recipe
        nn.init.zeros_( layer.bias )
    return net


def optimizer( model ):
    return torch.optim.Adam( model.parameters(), lr = 3e-3 )


generator = torch.Generator().manual_seed( 0 )
y = torch.randperm( 2000, generator = generator ) % 4
x = 1.2 * torch.randn( 4, 20, generator = generator )[ y ] + torch.randn( 2000, 20, generator = generator )
train_loader = DataLoader( TensorDataset( x / x.std(), y ), batch_size = 50, shuffle = True )
loss_fn = nn.CrossEntropyLoss()
